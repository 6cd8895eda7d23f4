-- name: loads
-- How many items each of these workers has open.
select worker, sum(open) as open from leases
where collection_id = :collection and ended_at is null and worker = any(cast(:workers as text[]))
group by worker

-- name: waiting
-- Whether any item has been given back: as a rule there is none, and planning what follows takes longer than this.
select true as waits from item_states where collection_id = :collection and ready_at is not null limit 1

-- name: offered
-- What the next statement would find: in which partitions, and how many items, as far as that matters.
with recursive waiting (partition) as (
    (
        select partition from item_states
        where collection_id = :collection and ready_at is not null
            and (cast(:partition as text) is null or partition = :partition)
        order by partition limit 1
    )
    union all
    select (
        select s.partition from item_states s
        where s.collection_id = :collection and s.ready_at is not null and s.partition > w.partition
        order by s.partition limit 1
    ) from waiting w where w.partition is not null and cast(:partition as text) is null
)
select array_agg(w.partition) as partitions, coalesce(sum(r.items), 0)::bigint as items
from waiting w cross join lateral (
    select count(*) as items from (
        select from item_states s
        where s.collection_id = :collection and s.partition = w.partition and s.ready_at <= now() limit :many
    ) as found
) as r where r.items > 0

-- name: returned
-- Items that have been given back, failed or expired: those never nacked first, then the longest since. A few are sorted;
-- among many, that order comes from an index, which leads past those that have to wait.
with offered as materialized (
    select s.*, row_number() over (
        order by s.nacked_at nulls first, s.leased_at nulls first, s.pool_id, s.position
    ) as place
    from unnest(cast(:partitions as text[])) as p (partition) cross join lateral (
        (
            select * from item_states s
            where s.collection_id = :collection and s.partition = p.partition and :few and s.ready_at <= now()
            order by s.ready_at
            limit :many
        )
        union all (
            select * from item_states s
            where s.collection_id = :collection and s.partition = p.partition and not :few
                and s.ready_at is not null and s.ready_at <= now()
            order by s.nacked_at nulls first, s.leased_at nulls first, s.pool_id, s.position
            limit :need
        )
    ) as s
    order by s.nacked_at nulls first, s.leased_at nulls first, s.pool_id, s.position
    limit :need
),
taken as (
    update item_states s set
        before = s.state, state = 'leased', attempt = s.attempt + 1, ready_at = null, leased_at = now(),
        moved_at = now(), lease_id = (cast(:leases as uuid[]))[n.share], moved_by = (cast(:workers as text[]))[n.share],
        error_code = null, error_message = null
    from (select *, width_bucket(place, cast(:starts as bigint[])) as share from offered) as n
    where s.pool_id = n.pool_id and s.position = n.position
    returning s.pool_id, s.position, s.partition, s.attempt, n.share, n.place
)
select t.share, count(*) as items, string_agg(
    '{"key":' || to_json(i.key) || ',"partition":' || to_json(t.partition) || ',"attempt":' || t.attempt
    || ',"attributes":' || i.attributes || '}', ',' order by t.place
) as told
from taken t join items i using (pool_id, position) where i.shard in (0, :collection)
group by t.share

-- name: open_pools
select p.id, p.collection_id, p.partition, p.size, coalesce(
    (select g.hi from grants g where g.pool_id = p.id order by g.lo desc limit 1), 0
) as reached
from pools p
where p.collection_id = :collection and not p.drained
    and (cast(:partition as text) is null or p.partition = :partition)
order by p.id

-- name: next
-- The next positions of a pool, a stretch from `lo` to `hi` for each lease, when nothing has happened to any of them: as
-- a rule. Otherwise nothing is taken. The order within a stretch is that of the index.
with shares as materialized (
    select given.*, inside.items, inside.told
    from unnest(cast(:leases as uuid[]), cast(:los as bigint[]), cast(:his as bigint[])) with ordinality
        as given (lease_id, lo, hi, share)
    cross join lateral (
        select count(*) as items, string_agg(
            '{"key":' || to_json(key) || :partition_told || ',"attempt"\:1,"attributes":' || attributes || '}', ','
        ) as told
        from (
            select key, attributes from items
            where shard in (0, :collection) and pool_id = :pool and position >= given.lo and position < given.hi
            order by position
        ) as stretch
    ) as inside
    where not exists (
        select from item_states s
        where s.pool_id = :pool and s.position >= :reached and s.position < :until
    )
),
granted as (
    insert into grants (pool_id, lo, hi, taken, lease_id)
    select :pool, lo, hi, items, lease_id from shares
    where (select bool_and(items = hi - lo) from shares)
    returning lo
)
select share, hi, items, told from shares where exists (select from granted) order by share

-- name: fresh
-- The next positions of a pool that nothing has happened to, cut into one stretch for each lease, wherever they are.
with found as materialized (
    select i.position, i.key, i.attributes, row_number() over (order by i.position) as place
    from items i
    where i.shard in (0, :collection) and i.pool_id = :pool and i.position >= :reached and i.position < :until
        and not exists (
            select from item_states s where s.pool_id = i.pool_id and s.position = i.position offset 0
        )
    order by i.position
    limit :need
),
shares as materialized (
    select share, max(position) + 1 as hi, count(*) as items, string_agg(
        '{"key":' || to_json(key) || :partition_told || ',"attempt"\:1,"attributes":' || attributes || '}', ','
        order by place
    ) as told
    from (select *, width_bucket(place, cast(:starts as bigint[])) as share from found) as f
    group by share
),
granted as (
    insert into grants (pool_id, lo, hi, taken, lease_id)
    select :pool, coalesce(lag(hi) over (order by share), :reached), hi, items, (cast(:leases as uuid[]))[share]
    from shares
)
select share, hi, items, told from shares order by share

-- name: pass_over
insert into grants (pool_id, lo, hi, taken) values (:pool, :lo, :hi, 0)

-- name: drain
update pools set drained = true where id = :pool

-- name: due
-- When the next item may come back, for those who find nothing.
with recursive waiting (partition, ready_at) as (
    (
        select partition, ready_at from item_states
        where collection_id = :collection and ready_at is not null
        order by partition, ready_at limit 1
    )
    union all
    select s.partition, s.ready_at from waiting w cross join lateral (
        select partition, ready_at from item_states
        where collection_id = :collection and ready_at is not null and partition > w.partition
        order by partition, ready_at limit 1
    ) as s
)
select extract(epoch from least(
    (select min(expires_at) from leases where collection_id = :collection and ended_at is null),
    (select min(ready_at) from waiting)
) - now())::double precision as seconds
