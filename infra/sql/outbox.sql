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
select id, kind, params, version, priority, traceparent, queued_at from jobs
where state = 'queued' and published_at is null and held is null and consumer = :consumer
    and (queued_at <> created_at or via in ('job', 'schedule') or queued_at < now() - make_interval(secs => :age))
order by queued_at
limit :batch

-- name: promote
update jobs set state = 'queued', queued_at = now(), published_at = null
where id in (
    select id from jobs where state = 'scheduled' and not waiting and run_at <= now()
    order by run_at limit :batch for update skip locked
)

-- name: now
select now() as moment

-- name: forget
-- More jobs had been published at `moment` than the queue had messages after it (`depth`): the difference is lost.
-- Which ones nobody knows; the oldest are the likeliest, since survivors move on, and one that has waited for less than
-- `age` seconds is spared. A message under way to a consumer looks lost; a second one is dropped at the claim.
-- `batch` bounds the counting. Who has been put aside needs no message.
update jobs set published_at = null
where id in (
    select id from jobs
    where state = 'queued' and held is null and consumer = :consumer
        and published_at < cast(:moment as timestamptz) - make_interval(secs => :age)
    order by published_at
    limit greatest(0, (
        select count(*) from (
            select from jobs
            where state = 'queued' and held is null and consumer = :consumer and published_at <= cast(:moment as timestamptz)
            limit cast(:depth as bigint) + :batch
        ) as expected
    ) - cast(:depth as bigint))
    for update skip locked
)
