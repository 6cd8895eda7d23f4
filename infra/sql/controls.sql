-- name: all
select kind, paused_at, concurrency, per_key, starts_per_second, changed_by,
    case when changed_by is not null then changed_at end as changed_at
from kind_controls

-- name: pause
insert into kind_controls as said (kind, paused_at, changed_by) values (:kind, now(), :by)
on conflict (kind) do update set
    paused_at = coalesce(said.paused_at, now()), changed_by = excluded.changed_by, changed_at = now()

-- name: resume
update kind_controls set paused_at = null, changed_by = :by, changed_at = now() where kind = :kind

-- name: limit
-- Of the three, those that were given; null is the registry's.
insert into kind_controls as said (kind, concurrency, per_key, starts_per_second, changed_by)
values (:kind, :concurrency, :per_key, :starts_per_second, :by)
on conflict (kind) do update set
    concurrency = case
        when 'concurrency' = any(cast(:given as text[])) then excluded.concurrency else said.concurrency
    end,
    per_key = case when 'per_key' = any(cast(:given as text[])) then excluded.per_key else said.per_key end,
    starts_per_second = case
        when 'starts_per_second' = any(cast(:given as text[])) then excluded.starts_per_second
        else said.starts_per_second
    end,
    changed_by = excluded.changed_by, changed_at = now()
