-- name: tallies
-- How far each of these collections is.
select collection_id, state, sum(items)::bigint as items from item_tallies
where collection_id = any(cast(:ids as integer[]))
group by collection_id, state

-- name: open
-- Who holds items, the longest first.
select id, owner, worker, taken, open, taken_at, expires_at, expires_at < now() as late from leases
where collection_id = :collection and ended_at is null
order by taken_at
limit :limit

-- name: feed
-- The newest leases, among the newest `looks` of all collections: their ids are in the order of time.
select worker, taken, open, taken_at, ended_at, ending
from (select * from leases order by id desc limit :looks) as newest
where collection_id = :collection
order by taken_at desc
limit :limit

-- name: older
-- Leases that were taken so long ago and still hold something.
select id from (
    select id, sum(open) over (order by taken_at, id) - open as before from leases
    where collection_id = :collection and ended_at is null and taken_at < now() - make_interval(secs => :age)
    order by taken_at, id
    limit :batch
) as old where before < :most

-- name: imports
-- The newest imports into a collection, among the newest `looks` of all.
select id, state, progress, result, error_message, submitted_by, created_at
from (select * from jobs where kind = 'items.import' order by id desc limit :looks) as newest
where params ->> 'collection' = :collection
order by id desc
limit :limit

-- name: holders
-- Who holds items anywhere, as one line for each worker.
select l.worker, min(l.owner) as owner, count(*) as leases, sum(l.open) as items, min(l.taken_at) as since,
    max(l.expires_at) as expires_at, max(l.expires_at) < now() as silent,
    (array_agg(distinct c.name))[1:5] as collections
from leases l join collections c on c.id = l.collection_id
where l.ended_at is null
group by l.worker
order by items desc, l.worker
limit :limit
