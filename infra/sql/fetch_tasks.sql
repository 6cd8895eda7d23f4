-- name: lock
-- In one order, whoever comes.
select id from fetch_tasks where id = any(cast(:ids as bigint[])) order by id for update

-- name: fill
-- Content is there, whoever held the task. What is filled with the same content stays as it is.
update fetch_tasks t set state = 'filled', location = g.location, reason = null, expires_at = null, updated_by = :by
from unnest(cast(:ids as bigint[]), cast(:locations as text[])) as g (id, location)
where t.id = g.id and (t.state <> 'filled' or t.location <> g.location)
returning t.id, t.host, t.external_id, t.location, t.revision

-- name: unavailable
-- It cannot be had. What is filled stays filled.
update fetch_tasks t set state = 'unavailable', reason = g.reason, expires_at = null, updated_by = :by
from unnest(cast(:ids as bigint[]), cast(:reasons as text[])) as g (id, reason)
where t.id = g.id and t.state in ('open', 'leased')
returning t.id, t.host, t.external_id, t.reason, t.revision

-- name: collections_of
-- Whose items asked for these tasks.
select distinct c.id, c.name from candidates l join collections c on c.id = l.collection_id
where l.task_id = any(cast(:ids as bigint[]))

-- name: unsettled
-- Items that asked for these tasks and are not as their tasks are: done though none of them may still be filled, or not
-- though one of these may or has been.
select distinct l.collection_id, i.key, s.state
from candidates l
join items i on i.pool_id = l.pool_id and i.position = l.position and i.shard = any(cast(:shards as integer[]))
join item_states s on s.pool_id = l.pool_id and s.position = l.position
where l.task_id = any(cast(:ids as bigint[])) and s.state in ('completed', 'available', 'failed', 'missing')
    and (s.state = 'completed') <> exists (
        select from candidates o join fetch_tasks t on t.id = o.task_id
        where o.pool_id = l.pool_id and o.position = l.position and t.state <> 'unavailable'
            and (s.state = 'completed' or t.id = any(cast(:ids as bigint[])))
    )

-- name: alive
-- Items that somebody holds, by their keys or by his lease, though one of their tasks may still be filled or has been.
with held as (
    select pool_id, position, lease_id from item_states
    where lease_id = any(cast(:leases as uuid[])) and state in ('leased', 'running')
    union
    select s.pool_id, s.position, s.lease_id from unnest(cast(:keys as text[])) as g (key)
    cross join lateral (
        select pool_id, position from items
        where shard in (0, :collection) and collection_id = :collection and shuffle = hashtextextended(g.key, 0)
            and items.key = g.key limit 1
    ) as i
    join item_states s on s.pool_id = i.pool_id and s.position = i.position and s.state in ('leased', 'running')
)
select h.lease_id, i.key from held h
join items i on i.pool_id = h.pool_id and i.position = h.position and i.shard in (0, :collection)
where exists (
    select from candidates l join fetch_tasks t on t.id = l.task_id
    where l.pool_id = h.pool_id and l.position = h.position and t.state <> 'unavailable'
)

-- name: known
-- Held until the end of the transaction: nobody gives up what is being linked.
select host, external_id, state from fetch_tasks
where (host, external_id) in (select * from unnest(cast(:hosts as text[]), cast(:externals as text[])))
order by id for share

-- name: add
insert into fetch_tasks (host, external_id, created_by, updated_by)
select distinct on (host, external_id) host, external_id, name, name
from unnest(cast(:hosts as text[]), cast(:externals as text[]), cast(:names as text[])) as g (host, external_id, name)
order by host, external_id
on conflict (host, external_id) do nothing

-- name: link
with wanted as (
    select g.key, t.id as task_id, i.pool_id, i.position, g.name, g.place
    from unnest(
        cast(:keys as text[]), cast(:hosts as text[]), cast(:externals as text[]), cast(:names as text[])
    ) with ordinality as g (key, host, external_id, name, place)
    join fetch_tasks t on t.host = g.host and t.external_id = g.external_id
    cross join lateral (
        select pool_id, position from items
        where shard in (0, :collection) and collection_id = :collection and shuffle = hashtextextended(g.key, 0)
            and items.key = g.key limit 1
    ) as i
),
linked as (
    insert into candidates (task_id, pool_id, position, collection_id, found_by)
    select distinct on (task_id, pool_id, position) task_id, pool_id, position, :collection, name
    from wanted order by task_id, pool_id, position, place
    on conflict do nothing
)
select key, task_id from wanted group by key, task_id order by min(place)

-- name: one_taker
-- A request that comes several times at once: the later ones see what the first has taken.
select pg_advisory_xact_lock(hashtextextended(cast(cast(:lease as uuid) as text), 0)) is null as entered

-- name: held
-- What this very request has taken before, as far as it is still held.
select id, host, external_id, attempt, expires_at, worker from fetch_tasks
where lease_id = :lease and owner = :owner and state = 'leased' and expires_at > now() order by id

-- name: had
-- Whether this very request has been served before, though it holds nothing any more. What nobody has heard of is none.
select true as had from fetch_history h
where h.lease_id = :lease and h.state = 'leased' and :unheard is distinct from (
    select updated_by from (
        select id, updated_by from fetch_history where task_id = h.task_id and id > h.id
        union all
        select 9223372036854775807, updated_by from fetch_tasks where id = h.task_id
    ) as later order by id limit 1
) limit 1

-- name: expire
-- Leases over tasks of a host that ran out: they are open again, and the history says why.
with gone as (
    select id from fetch_tasks where host = :host and state = 'leased' and expires_at <= now()
    order by expires_at limit :most for update skip locked
)
update fetch_tasks t set state = 'open', expires_at = null, updated_by = :by from gone where t.id = gone.id

-- name: take
-- Whoever else takes at this moment passes over what is chosen here.
with chosen as materialized (
    select id, leased_at from fetch_tasks where host = :host and state = 'open'
    order by leased_at nulls first, id limit :count for update skip locked
)
update fetch_tasks t set
    state = 'leased', lease_id = :lease, owner = :owner, worker = :worker, attempt = t.attempt + 1, leased_at = now(),
    expires_at = now() + make_interval(secs => :ttl), ttl_seconds = :ttl, updated_by = :owner
from chosen where t.id = chosen.id
returning t.id, t.host, t.external_id, t.attempt, t.expires_at, t.worker, chosen.leased_at as before

-- name: extend
update fetch_tasks set
    expires_at = now() + make_interval(secs => coalesce(cast(:ttl as double precision), ttl_seconds)),
    updated_by = :owner
where lease_id = :lease and owner = :owner and state = 'leased'
returning expires_at

-- name: release
-- Given back, uncharged.
update fetch_tasks set state = 'open', expires_at = null, attempt = attempt - 1, updated_by = :by
where lease_id = :lease and owner = :owner and state = 'leased'
    and (cast(:ids as bigint[]) is null or id = any(cast(:ids as bigint[])))

-- name: reopen
update fetch_tasks set state = 'open', location = null, reason = null, updated_by = :by
where id = :id and state in ('filled', 'unavailable')

-- name: ids_of
select t.id, t.host, t.external_id
from unnest(cast(:hosts as text[]), cast(:externals as text[])) as g (host, external_id)
join fetch_tasks t on t.host = g.host and t.external_id = g.external_id

-- name: facts
select id, state, lease_id, owner, location, reason, updated_by, state = 'leased' and expires_at <= now() as late
from fetch_tasks where id = any(cast(:ids as bigint[]))

-- name: page
select id, host, external_id, state, lease_id as lease, owner, worker, attempt, leased_at, expires_at, location,
    reason, updated_by, updated_at, revision, created_by, created_at
from fetch_tasks
where id > :after and (cast(:host as text) is null or host = :host) and (cast(:state as text) is null or state = :state)
order by id limit :limit

-- name: get
select id, host, external_id, state, lease_id as lease, owner, worker, attempt, leased_at, expires_at, location,
    reason, updated_by, updated_at, revision, created_by, created_at
from fetch_tasks where id = :id

-- name: wanting
select c.name as collection, i.key, coalesce(s.state, 'available') as state, l.found_by, l.found_at
from candidates l
join collections c on c.id = l.collection_id
join items i on i.pool_id = l.pool_id and i.position = l.position and i.shard = any(cast(:shards as integer[]))
left join item_states s on s.pool_id = l.pool_id and s.position = l.position
where l.task_id = :id order by l.found_at, l.pool_id, l.position limit 1000

-- name: of_item
select t.id as task, t.host, t.external_id, t.state, t.location
from candidates l join fetch_tasks t on t.id = l.task_id
where l.pool_id = :pool and l.position = :position order by l.found_at, t.id limit 1000

-- name: history
select state, lease_id as lease, owner, worker, leased_at, expires_at, location, reason, updated_by as by,
    updated_at as at, revision
from fetch_history where task_id = :id
union all
select state, lease_id, owner, worker, leased_at, expires_at, location, reason, updated_by, updated_at, revision
from fetch_tasks where id = :id
order by revision

-- name: overlaps
-- The audit: a task that was given to somebody while another lease over it held, or that came to him from nowhere.
with versions as (
    select id, task_id, state, lease_id, expires_at, updated_by, updated_at from fetch_history
    union all
    select 9223372036854775807, id, state, lease_id, expires_at, updated_by, updated_at from fetch_tasks
),
chained as (
    select *, lag(state) over task as was, lag(lease_id) over task as held_by, lag(expires_at) over task as held_until
    from versions window task as (partition by task_id order by id)
)
select task_id, lease_id, held_by from chained
where state = 'leased' and was = 'leased' and held_by <> lease_id
    or state = 'leased' and (was is null or was not in ('open', 'leased'))
    or state = 'open' and was = 'leased'
        and (lease_id is distinct from held_by or updated_by = 'expiry' and updated_at < held_until)

-- name: fold
with pieces as (
    delete from fetch_tallies t using (
        select host, state from fetch_tallies group by 1, 2 having count(*) > 1
    ) as many
    where (t.host, t.state) = (many.host, many.state)
    returning t.host, t.state, t.tasks
)
insert into fetch_tallies (host, state, tasks) select host, state, sum(tasks) from pieces group by 1, 2

-- name: counts
select host, state, sum(tasks)::bigint as tasks from fetch_tallies group by host, state having sum(tasks) <> 0

-- name: live
-- Tasks under lease, and those whose lease ran out, by host: only these are looked at.
select host, count(*) filter (where state = 'leased' and expires_at <= now()) as late,
    count(*) filter (where state = 'open') as returned, min(leased_at) filter (where expires_at > now()) as oldest
from (
    select host, state, leased_at, expires_at from fetch_tasks where state = 'leased'
    union all
    select host, state, leased_at, expires_at from fetch_tasks where state = 'open' and updated_by = 'expiry'
) as t group by host

-- name: searches
-- How an inventory is searched: leases that are open, items whose lease ran out, items looked for in vain.
select
    (select coalesce(sum(open) filter (where expires_at > now()), 0) from leases
        where collection_id = :collection and ended_at is null)::bigint as active,
    (select coalesce(sum(open) filter (where expires_at <= now()), 0) from leases
        where collection_id = :collection and ended_at is null)::bigint
    + (select count(*) from item_states
        where collection_id = :collection and state = 'available' and error_code = 'lease_expired') as stale,
    (select count(*) from item_states
        where collection_id = :collection and nacked_at is not null and state <> 'completed') as nacked,
    (select min(taken_at) from leases
        where collection_id = :collection and ended_at is null and expires_at > now()) as oldest
