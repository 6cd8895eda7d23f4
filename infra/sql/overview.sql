-- name: states
-- Of each state no more than `most` are counted: the cost is that of the answer.
select states.state, counted.jobs
from unnest(cast(:states as text[])) as states (state)
cross join lateral (
    select count(*) as jobs from (select from jobs where jobs.state = states.state limit :most) as bounded
) as counted

-- name: failed_lately
select count(*) as jobs from (
    select from jobs where state = 'failed' and finished_at > now() - interval '24 hours' limit :most
) as bounded

-- name: oldest
-- The job of each consumer that waits longest: the first of each priority, by the index that claims use.
select consumers.consumer, extract(epoch from now() - min(oldest.queued_at)) as seconds
from unnest(cast(:consumers as text[])) as consumers (consumer)
cross join generate_series(0, 9) as priorities (priority)
cross join lateral (
    select queued_at from jobs
    where state = 'queued' and held is null and lane = 'leased'
        and jobs.consumer = consumers.consumer and jobs.priority = priorities.priority
    order by queued_at
    limit 1
) as oldest
group by consumers.consumer

-- name: finished
-- The last hour by the minute, from the newest jobs that ended: beyond `most` the minutes before are not known.
select cast(extract(epoch from now() - finished_at) as integer) / 60 as minute,
    count(*) filter (where state = 'succeeded') as succeeded,
    count(*) filter (where state <> 'succeeded') as others,
    percentile_cont(0.95) within group (order by extract(epoch from started_at - queued_at)) as wait
from (
    select state, finished_at, started_at, queued_at from jobs
    where finished_at > now() - interval '1 hour' order by finished_at desc limit :most
) as newest
group by 1
order by 1

-- name: workers
-- Who holds a claim, by the claims: a lease that is not renewed tells of a silent worker.
select worker, consumer, count(*) as jobs, min(started_at) as since, max(lease_until) as lease_until,
    max(lease_until) < now() as silent, (array_agg(id order by started_at))[1:5] as ids,
    (array_agg(kind order by started_at))[1:5] as kinds
from jobs
where state = 'running' and lease_until is not null
group by worker, consumer
order by consumer, worker

-- name: lately_of_workers
select worker, count(*) filter (where state = 'succeeded') as succeeded, count(*) filter (where state = 'failed') as failed,
    max(finished_at) as last_at
from (
    select worker, state, finished_at from jobs
    where finished_at > now() - interval '1 hour' order by finished_at desc limit :most
) as newest
where worker is not null
group by worker

-- name: backlogs
-- The leader's last count.
select consumer, queued, running, counted_at, counted_at < now() - interval '1 minute' as old from backlogs
