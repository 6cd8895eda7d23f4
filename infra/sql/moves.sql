-- name: keys_of
-- Facts about items that are named, and who holds them: a state of their own tells it, else the one grant over them.
-- `limit` keeps the planner from reading the whole collection for a few keys.
select g.place, i.pool_id, i.position, p.partition, coalesce(s.state, case when r.lease_id is null then 'available'
    else 'leased' end) as state, coalesce(s.attempt, case when r.lease_id is null then 0 else 1 end) as attempt,
    s.state is not null as touched, case when s.state is null then r.lease_id else s.lease_id end as lease_id,
    s.ready_at is not null as offered, coalesce(s.leased_at, l.taken_at) as leased_at, s.nacked_at,
    coalesce(s.nacks, 0) as nacks, l.owner, r.lease_id = g.lease_id or s.lease_id = g.lease_id or exists (
        select from item_history h
        where h.pool_id = i.pool_id and h.position = i.position and h.lease_id = g.lease_id
    ) as had
from unnest(cast(:keys as text[]), cast(:leases as uuid[])) with ordinality as g (key, lease_id, place)
cross join lateral (
    select pool_id, position from items
    where shard in (0, :collection) and collection_id = :collection and shuffle = hashtextextended(g.key, 0)
        and items.key = g.key limit 1
) as i
join pools p on p.id = i.pool_id
left join item_states s on s.pool_id = i.pool_id and s.position = i.position
left join lateral (
    select case when hi > i.position then lease_id end as lease_id from grants
    where pool_id = i.pool_id and lo <= i.position order by lo desc limit 1
) as r on true
left join leases l on l.id = case when s.state is null then r.lease_id else s.lease_id end

-- name: apply
-- Set free after an end, an item has not been looked for in vain yet.
with given as (
    select * from unnest(
        cast(:pools as integer[]), cast(:positions as bigint[]), cast(:partitions as text[]), cast(:befores as text[]),
        cast(:states as text[]), cast(:attempts as smallint[]), cast(:leases as uuid[]), cast(:movers as text[]),
        cast(:waits as double precision[]), cast(:leased as timestamptz[]), cast(:nacked as timestamptz[]),
        cast(:nacks as boolean[]), cast(:codes as text[]), cast(:messages as text[]), cast(:results as jsonb[])
    ) as g (pool_id, position, partition, before, state, attempt, lease_id, mover, wait, leased_at, nacked_at, nack,
        code, message, result)
)
insert into item_states (
    pool_id, position, collection_id, partition, before, state, attempt, lease_id, moved_by, ready_at, leased_at,
    nacked_at, nacks, error_code, error_message, result
)
select pool_id, position, :collection, partition, before, state, attempt, lease_id, mover,
    now() + make_interval(secs => wait), leased_at, case when nack then now() else nacked_at end,
    case when nack then 1 else 0 end, code, message, result
from given
on conflict (pool_id, position) do update set
    before = excluded.before, state = excluded.state, attempt = excluded.attempt, lease_id = excluded.lease_id,
    moved_by = excluded.moved_by, moved_at = excluded.moved_at, ready_at = excluded.ready_at,
    leased_at = excluded.leased_at, nacked_at = excluded.nacked_at, nacks = case
        when excluded.before in ('completed', 'missing', 'failed') and excluded.state = 'available'
            and excluded.nacks = 0 then 0
        else item_states.nacks + excluded.nacks
    end,
    error_code = excluded.error_code, error_message = excluded.error_message, result = excluded.result

-- name: end
-- Items that are named reach their end, whoever holds them. Returns those that do not, with their states; none for what
-- there is not.
with found as materialized (
    select g.place, i.pool_id, i.position, p.partition, case when i.pool_id is not null then coalesce(
            s.state, case when r.lease_id is null then 'available' else 'leased' end
        ) end as state, coalesce(s.attempt, case when r.lease_id is null then 0 else 1 end) as attempt,
        case when s.state is null then r.lease_id else s.lease_id end as lease_id, s.leased_at, s.nacked_at
    from unnest(cast(:keys as text[])) with ordinality as g (key, place)
    left join lateral (
        select pool_id, position from items
        where shard in (0, :collection) and collection_id = :collection and shuffle = hashtextextended(g.key, 0)
            and items.key = g.key limit 1
    ) as i on true
    left join pools p on p.id = i.pool_id
    left join item_states s on s.pool_id = i.pool_id and s.position = i.position
    left join lateral (
        select case when hi > i.position then lease_id end as lease_id from grants
        where pool_id = i.pool_id and lo <= i.position order by lo desc limit 1
    ) as r on s.state is null
),
moved as (
    insert into item_states (
        pool_id, position, collection_id, partition, before, state, attempt, lease_id, moved_by, leased_at, nacked_at
    )
    select f.pool_id, f.position, :collection, f.partition, f.state, :state, f.attempt, f.lease_id, :mover,
        coalesce(f.leased_at, (select taken_at from leases where id = f.lease_id)), f.nacked_at
    from found f where f.state = any(cast(:befores as text[]))
    on conflict (pool_id, position) do update set
        before = excluded.before, state = excluded.state, moved_by = excluded.moved_by, moved_at = excluded.moved_at,
        ready_at = null, error_code = null, error_message = null, result = null
),
let_go as (
    update leases l set
        open = l.open - g.items,
        ended_at = case when l.open = g.items then now() end,
        ending = case when l.open = g.items then 'submitted' end
    from (
        select lease_id, count(*) as items from found
        where state in ('leased', 'running') and state = any(cast(:befores as text[])) group by lease_id
    ) as g
    where l.id = g.lease_id and l.ended_at is null
),
tallied as (
    insert into worker_tallies (collection_id, worker, what, items)
    select :collection, :mover, :state, count(*) from found
    where state = any(cast(:befores as text[])) having count(*) > 0
)
select place, state from found where state is null or state <> all(cast(:befores as text[]))

-- name: complete
-- All that these leases still hold is done.
with done as (
    insert into item_states (
        pool_id, position, collection_id, partition, before, state, attempt, lease_id, moved_by, leased_at, nacked_at
    )
    select h.pool_id, h.position, h.collection_id, h.partition, h.state, 'completed', h.attempt, h.lease_id,
        l.worker, h.leased_at, h.nacked_at
    from leases l join held_items(:collection, cast(:ids as uuid[])) h on h.lease_id = l.id
    where l.id = any(cast(:ids as uuid[])) and l.ended_at is null
    on conflict (pool_id, position) do update set
        before = excluded.before, state = excluded.state, moved_by = excluded.moved_by, moved_at = now(),
        error_code = null, error_message = null, result = null
    returning lease_id
),
ended as (
    update leases l set open = 0, ended_at = now(), ending = 'submitted'
    where l.id = any(cast(:ids as uuid[])) and l.ended_at is null
    returning l.id, l.worker
),
counted as (
    select e.id, e.worker, count(d.lease_id) as items from ended e left join done d on d.lease_id = e.id group by 1, 2
),
tallied as (
    insert into worker_tallies (collection_id, worker, what, items)
    select :collection, worker, 'completed', sum(items) from counted group by worker
)
select id, items from counted

-- name: return
-- All that these leases still hold is offered again: at once and uncharged, or charged, and failed when that was the
-- last attempt. What is said of an item is why it was charged; nothing, when it was not.
with back as (
    insert into item_states (
        pool_id, position, collection_id, partition, before, state, attempt, lease_id, moved_by, leased_at, nacked_at,
        ready_at, error_code, error_message
    )
    select h.pool_id, h.position, h.collection_id, h.partition, h.state,
        case when :charged and h.attempt >= c.max_attempts then 'failed' else 'available' end,
        h.attempt - case when :charged then 0 else 1 end, h.lease_id, coalesce(cast(:mover as text), l.worker), h.leased_at, h.nacked_at,
        case when :charged and h.attempt >= c.max_attempts then null else now() end,
        cast(:code as text), cast(:message as text)
    from leases l join held_items(:collection, cast(:ids as uuid[])) h on h.lease_id = l.id
    join collections c on c.id = l.collection_id
    where l.id = any(cast(:ids as uuid[])) and l.ended_at is null
    on conflict (pool_id, position) do update set
        before = excluded.before, state = excluded.state, attempt = excluded.attempt, moved_by = excluded.moved_by,
        moved_at = now(), ready_at = excluded.ready_at, error_code = excluded.error_code,
        error_message = excluded.error_message
    returning lease_id
),
ended as (
    update leases l set open = 0, ended_at = now(), ending = case when :charged then 'expired' else 'released' end
    where l.id = any(cast(:ids as uuid[])) and l.ended_at is null
    returning l.id, l.worker
),
counted as (
    select e.id, e.worker, count(b.lease_id) as items from ended e left join back b on b.lease_id = e.id group by 1, 2
),
tallied as (
    insert into worker_tallies (collection_id, worker, what, items)
    select :collection, worker, case when :charged then 'expired' else 'returned' end, sum(items)
    from counted group by worker
)
select id, items from counted

-- name: still_free
-- What these leases still held when they ran out, and nothing has happened to since.
select s.lease_id, i.key from leases l
join item_states s on s.lease_id = l.id and s.moved_at = l.ended_at and s.ready_at is not null
join items i on i.pool_id = s.pool_id and i.position = s.position and i.shard in (0, :collection)
where l.id = any(cast(:ids as uuid[])) and l.ending = 'expired' and s.state = 'available'
order by s.lease_id, s.pool_id, s.position

-- name: let_go
-- These leases hold so many items less.
update leases l set
    open = l.open - g.items,
    ended_at = case when l.open = g.items then now() end,
    ending = case when l.open = g.items then g.ending end
from unnest(cast(:ids as uuid[]), cast(:items as integer[]), cast(:endings as text[])) as g (id, items, ending)
where l.id = g.id and l.ended_at is null

-- name: tally
insert into worker_tallies (collection_id, worker, what, items)
select :collection, * from unnest(cast(:workers as text[]), cast(:what as text[]), cast(:items as bigint[]))
