-- name: claim
-- One claim wins: the row lock decides, the token fences. Losing the commit to a crash only repeats the claim.
update jobs set
    state = 'running', attempt = attempt + 1, token = nextval('claim_tokens'), worker = :worker, held = null,
    lease_until = clock_timestamp() + make_interval(secs => :lease),
    started_at = coalesce(started_at, clock_timestamp()), error_code = null, error_message = null
where id = :id and state = 'queued'
returning id, kind, params, version, priority, attempt, max_attempts, token, traceparent, submitted_by,
    concurrency_key, cast(extract(epoch from now() - queued_at) as double precision) as waited_seconds

-- name: patience
-- For a loop that must stay awake: nothing that it asks for may hold it up.
set local lock_timeout to '5s'; set local statement_timeout to '20s'

-- name: lasting_patience
-- The same for all that follows on the connection.
set lock_timeout to '5s'; set statement_timeout to '20s'

-- name: relaxed
-- Losing this commit to a crash of the database costs nothing: the next one says the same. Never for a claim, whose
-- token must not be given out twice.
set local synchronous_commit to off

-- name: beat
-- A row that somebody holds right now, perhaps our own child, is not waited for: the others would go stale with it. As
-- this statement sees it, it is still ours, and nobody rescues a row that is held. Only what runs has a token.
with held as (
    select id, token from unnest(cast(:ids as uuid[]), cast(:tokens as bigint[])) as held (id, token)
),
free as (
    select jobs.id from jobs join held using (id, token)
    for no key update of jobs skip locked
),
renewed as (
    update jobs set lease_until = now() + make_interval(secs => :lease) from free where jobs.id = free.id
    returning jobs.id
)
select jobs.id, jobs.cancel_requested_at is not null as cancelled, renewed.id is not null as renewed
from jobs join held using (id, token) left join renewed on renewed.id = jobs.id

-- name: progress
update jobs set progress = greatest(progress, least(:progress, 99.9))
where id = :id and token = :token and state = 'running'

-- name: hold
-- Take the row of a claim that is still ours, so that nothing moves it while the transaction writes.
select id, kind, attempt, max_attempts, cancel_requested_at is not null as cancelled,
    exists (select from discards where job_id = jobs.id) as discarding
from jobs where id = :id and token = :token and state = 'running'
for update

-- name: succeed
update jobs set
    state = 'succeeded', result = cast(:result as jsonb), progress = 100, finished_at = now(),
    token = null, lease_until = null
where id = :id and token = :token and state = 'running'

-- name: fail
update jobs set
    state = 'failed', error_code = :code, error_message = :message, finished_at = now(),
    token = null, lease_until = null
where id = :id and token = :token and state = 'running'

-- name: retry
update jobs set
    state = 'scheduled', error_code = :code, error_message = :message,
    run_at = now() + make_interval(secs => :delay), token = null, lease_until = null, worker = null
where id = :id and token = :token and state = 'running'

-- name: cancel
update jobs set state = 'cancelled', finished_at = now(), token = null, lease_until = null
where id = :id and token = :token and state = 'running'

-- name: release
-- Handed back at shutdown: not a failure, so the attempt is not charged.
update jobs set
    state = 'queued', attempt = greatest(attempt - 1, 0), queued_at = now(), published_at = null,
    token = null, lease_until = null, worker = null
where id = :id and token = :token and state = 'running'

-- name: input
-- While the job lives, its inputs are kept.
select b.object_key, coalesce(f.name, left(b.sha256, 12)) as name
from job_inputs i join blobs b using (sha256) left join files f using (sha256)
where i.job_id = :id and i.sha256 = :sha256 and b.object_key is not null
limit 1

-- name: forsake
update jobs set lease_until = least(lease_until, now()) where worker = :worker and state = 'running'

-- name: expired
select id, token, attempt, max_attempts, cancel_requested_at is not null as cancelled
from jobs where lease_until < now()
order by lease_until
limit :batch
for update skip locked

-- name: rescue
update jobs set
    state = 'queued', error_code = 'lease_expired', error_message = 'The consumer that ran the job went silent.',
    queued_at = now(), published_at = null, token = null, lease_until = null, worker = null
where id = :id and token = :token and state = 'running'
