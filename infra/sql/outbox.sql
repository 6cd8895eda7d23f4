-- name: patience
-- Another transaction may hold a key or an input of ours: it is not waited for longer than this.
set local lock_timeout = '5s'

-- name: mark
-- One queueing each: a job that was claimed and queued again since then waits for a message that nobody has sent yet.
update jobs set published_at = now()
from unnest(cast(:ids as uuid[]), cast(:queued_at as timestamptz[])) as sent (id, queued_at)
where jobs.id = sent.id and jobs.queued_at = sent.queued_at and jobs.state = 'queued' and jobs.published_at is null

-- name: unpublished
-- A new job is the gateway's to publish for `age` seconds. One that came to the queue in another way is ours at once.
-- By consumer, so that a queue that refuses holds up no other.
select id, kind, params, priority, traceparent, queued_at from jobs
where state = 'queued' and published_at is null and consumer = :consumer
    and (queued_at > created_at or via = 'job' or queued_at < now() - make_interval(secs => :age))
order by queued_at
limit :batch

-- name: promote
update jobs set state = 'queued', queued_at = now(), published_at = null
where id in (
    select id from jobs where state = 'scheduled' and run_at <= now() order by run_at limit :batch for update skip locked
)

-- name: now
select now() as moment

-- name: forget
-- More jobs had been published at `moment` than the queue had messages after it (`depth`): the difference is lost.
-- Which ones nobody knows; the oldest are the likeliest, since survivors move on, and one that has waited for less than
-- `age` seconds is spared. A message under way to a consumer looks lost; a second one is dropped at the claim.
-- `batch` bounds the counting.
update jobs set published_at = null
where id in (
    select id from jobs
    where state = 'queued' and consumer = :consumer
        and published_at < cast(:moment as timestamptz) - make_interval(secs => :age)
    order by published_at
    limit greatest(0, (
        select count(*) from (
            select from jobs
            where state = 'queued' and consumer = :consumer and published_at <= cast(:moment as timestamptz)
            limit cast(:depth as bigint) + :batch
        ) as expected
    ) - cast(:depth as bigint))
    for update skip locked
)

-- name: live
select consumer, state, count(*) as jobs, extract(epoch from now() - min(queued_at)) as oldest_seconds
from jobs where state = 'queued' group by consumer, state
union all
select consumer, state, count(*), 0 from jobs where state = 'running' group by consumer, state
union all
select consumer, state, count(*), 0 from jobs where state = 'scheduled' group by consumer, state

-- name: number_events
-- Run by the leader, on the connection that holds its lock: there is never a second one, so no gap and no step back.
with next as (
    select id, row_number() over (order by id) + (select coalesce(max(seq), 0) from events) as seq
    from (select id from events where seq is null order by id limit :batch) as unnumbered
)
update events set seq = next.seq from next where events.id = next.id and events.seq is null

-- name: unpublished_events
select id, seq, type, job_id, data, traceparent, occurred_at from events
where seq is not null and not published
order by seq
limit :batch

-- name: mark_events
update events set published = true where id = any(cast(:ids as bigint[]))

-- name: events_lag
select coalesce(max(extract(epoch from now() - occurred_at)), 0) as seconds
from (
    (select occurred_at from events where seq is null order by id limit 1)
    union all
    (select occurred_at from events where seq is not null and not published order by seq limit 1)
) as oldest
