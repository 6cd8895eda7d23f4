-- name: now
select now() as moment

-- name: lock
select cron, timezone, enabled, next_at from schedules where name = :name for update

-- name: put
insert into schedules (name, cron, timezone, kind, params, priority, overlap, enabled, next_at, created_by)
values (
    :name, :cron, :timezone, :kind, cast(:params as jsonb), :priority, :overlap, :enabled, :next_at, :by
)
on conflict (name) do update set
    cron = excluded.cron, timezone = excluded.timezone, kind = excluded.kind, params = excluded.params,
    priority = excluded.priority, overlap = excluded.overlap, enabled = excluded.enabled,
    next_at = excluded.next_at, error = null

-- name: get
select * from schedules where name = :name

-- name: page
select * from schedules where name > :after order by name limit :limit

-- name: delete
delete from schedules where name = :name

-- name: due
select *, now() as moment, exists (
    select from jobs where jobs.id = last_job_id and jobs.finished_at is null
) as lives
from schedules where enabled and next_at <= now()
order by next_at
limit :batch
for update skip locked

-- name: made
update schedules set last_at = next_at, last_job_id = :job_id, next_at = :next_at, error = null where name = :name

-- name: skipped
update schedules set skipped_at = next_at, next_at = :next_at where name = :name

-- name: failed
update schedules set last_at = next_at, next_at = :next_at, error = :error where name = :name

-- name: stopped
update schedules set enabled = false, error = :error where name = :name
