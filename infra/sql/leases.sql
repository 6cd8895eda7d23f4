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

-- name: find
select id, owner, worker, request_id, ttl_seconds, taken, open, taken_at, expires_at, ended_at, ending
from leases where collection_id = :collection and id = any(cast(:ids as uuid[]))

-- name: forget_requests
-- Nobody has heard of these leases: the same request is a new one.
update leases set request_id = null, terms = null
where id = any(cast(:ids as uuid[])) and request_id is not null

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
