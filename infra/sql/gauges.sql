-- name: waiting
-- What waits, by consumer. A job that is held back waits for a limit, not for a consumer: its age says nothing.
select consumer, count(*) as jobs,
    coalesce(extract(epoch from now() - min(queued_at) filter (where held is null)), 0) as oldest_seconds
from jobs where state = 'queued' group by consumer

-- name: others
select consumer, state, count(*) as jobs from jobs where state = 'running' and started_at is not null group by consumer, state
union all
select consumer, state, count(*) from jobs where state = 'scheduled' group by consumer, state

-- name: held
select held, count(*) as jobs from jobs where held is not null group by held

-- name: deliveries
-- Counted up to a bound: beyond it the exact number is no news.
select count(*) as deliveries
from (select from webhook_deliveries where state = 'pending' limit cast(:bound as integer)) as pending

-- name: items
-- How far the newest collections are.
select c.name, t.state, sum(t.items)::bigint as items
from (select id, name from collections order by id desc limit :most) as c
join item_tallies t on t.collection_id = c.id
group by c.name, t.state

-- name: handled
-- What became of the items of the newest collections, in sums that only grow.
select c.name, t.what, sum(t.items)::bigint as items
from (select id, name from collections order by id desc limit :most) as c
join worker_tallies t on t.collection_id = c.id
where t.what in ('taken', 'expired', 'failed')
group by c.name, t.what

-- name: leases
select c.name, count(l.id) as open, coalesce(extract(epoch from now() - min(l.taken_at)), 0) as oldest_seconds
from (select id, name from collections order by id desc limit :most) as c
left join leases l on l.collection_id = c.id and l.ended_at is null
group by c.name

-- name: note
-- The count for those who must not count themselves.
insert into backlogs (consumer, queued, running)
select * from unnest(cast(:consumer as text[]), cast(:queued as bigint[]), cast(:running as bigint[]))
on conflict (consumer) do update
set queued = excluded.queued, running = excluded.running, counted_at = now()
