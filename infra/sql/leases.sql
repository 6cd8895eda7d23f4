-- name: enter
-- One at a time changes what a collection hands out: what follows sees all that was committed before. The volatile call
-- comes after the sort, so that two that need several collections take them in the same order.
-- And everything that follows looks up a few rows by an index, whatever statistics say of tables that have just been
-- filled; compiling a statement would take longer than it.
set local enable_hashjoin to off; set local enable_mergejoin to off; set local enable_seqscan to off;
set local enable_bitmapscan to off; set local jit to off;
select set_config('lock_timeout', cast(:patience as text), true) where cast(:patience as text) is not null;
select id, name, ordering, ttl_seconds, max_attempts, retry_seconds, per_worker,
    pg_advisory_xact_lock(cast(:space as integer), id) is null as entered
from collections where name = any(cast(:names as text[])) order by id

-- name: enter_if_free
-- The same without waiting: whoever is not in has to come again.
set local enable_hashjoin to off; set local enable_mergejoin to off; set local enable_seqscan to off;
set local enable_bitmapscan to off; set local jit to off;
select id, name, ordering, ttl_seconds, max_attempts, retry_seconds, per_worker,
    pg_try_advisory_xact_lock(cast(:space as integer), id) as entered
from collections where name = any(cast(:names as text[])) order by id

-- name: by_request
-- `limit` keeps the planner from going over all leases of the collection when its statistics are old.
select r.place, l.id, l.terms from unnest(cast(:owners as text[]), cast(:requests as text[])) with ordinality
    as r (owner, request_id, place)
cross join lateral (
    select id, terms from leases
    where collection_id = :collection and owner = r.owner and request_id = r.request_id limit 1
) as l

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

-- name: take_returned
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
        moved_at = now(), lease_id = (cast(:leases as uuid[]))[n.share], moved_by = (cast(:workers as text[]))[n.share]
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

-- name: take_next
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

-- name: take_fresh
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

-- name: add
with added as (
    insert into leases (id, collection_id, owner, worker, request_id, terms, ttl_seconds, taken, open, expires_at)
    select id, :collection, owner, worker, request_id, terms, ttl, items, items, now() + make_interval(secs => ttl)
    from unnest(
        cast(:ids as uuid[]), cast(:owners as text[]), cast(:workers as text[]), cast(:requests as text[]),
        cast(:terms as bigint[]), cast(:ttls as double precision[]), cast(:items as integer[])
    ) as given (id, owner, worker, request_id, terms, ttl, items)
    returning id, worker, taken, expires_at
),
tallied as (
    insert into worker_tallies (collection_id, worker, what, items)
    select :collection, worker, 'taken', sum(taken) from added group by worker
)
select id, expires_at from added

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

-- name: find
select id, owner, worker, request_id, ttl_seconds, taken, open, taken_at, expires_at, ended_at, ending
from leases where collection_id = :collection and id = any(cast(:ids as uuid[]))

-- name: forget_requests
-- Nobody has heard of these leases: the same request is a new one.
update leases set request_id = null, terms = null
where id = any(cast(:ids as uuid[])) and request_id is not null

-- name: still_free
-- What these leases still held when they ran out, and nothing has happened to since.
select s.lease_id, i.key from leases l
join item_states s on s.lease_id = l.id and s.moved_at = l.ended_at and s.ready_at is not null
join items i on i.pool_id = s.pool_id and i.position = s.position and i.shard in (0, :collection)
where l.id = any(cast(:ids as uuid[])) and l.ending = 'expired' and s.state = 'available'
order by s.lease_id, s.pool_id, s.position

-- name: contents
select lease_id, count(*) as items, string_agg(
    '{"key":' || to_json(key) || ',"partition":' || to_json(partition) || ',"attempt":' || attempt
    || ',"attributes":' || attributes || '}', ',' order by pool_id, position
) as told
from held_items(:collection, cast(:ids as uuid[]))
group by lease_id

-- name: extend
update leases l set expires_at = now() + make_interval(secs => coalesce(g.ttl, l.ttl_seconds))
from unnest(cast(:ids as uuid[]), cast(:ttls as double precision[])) as g (id, ttl)
where l.id = g.id and l.ended_at is null
returning l.id, l.expires_at, l.open

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

-- name: move
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

-- name: expired
select c.name, array_agg(l.id) as ids
from (
    select id, collection_id from leases where ended_at is null and expires_at <= now() and collection_id not in (
        select id from collections where name = any(cast(:busy as text[]))
    )
    order by expires_at limit :batch
) as l join collections c on c.id = l.collection_id
group by c.name

-- name: still_expired
select id from (
    select id, sum(open) over (order by expires_at, id) - open as before from leases
    where id = any(cast(:ids as uuid[])) and ended_at is null and expires_at <= now()
) as over where before < :most
