-- name: get
select
    id, kind, consumer, state, params, priority, unique_key, concurrency_key, held, waiting, submitted_by, via,
    parent_id, traceparent, attempt, max_attempts, worker, run_at, progress, result, error_code, error_message, created_at, started_at,
    cancel_requested_at, finished_at,
    (select coalesce(jsonb_agg(jsonb_build_object('param', param, 'sha256', sha256) order by position), '[]')
     from job_inputs where job_id = jobs.id) as inputs
from jobs where id = :id

-- name: page
-- Newest first. Ids are UUIDv7, so the key orders by time of creation.
select
    id, kind, state, submitted_by, attempt, max_attempts, progress, run_at, error_code, created_at, started_at,
    finished_at
from jobs
where (cast(:state as text) is null or state = :state)
    and (cast(:kind as text) is null or kind = :kind)
    and (cast(:before as uuid) is null or id < :before)
order by id desc
limit :limit

-- name: lock
-- A decision about a job is made on a state that stays until it is carried out.
select id, kind, state, params from jobs where id = :id for update

-- name: cancel_waiting
update jobs set
    state = 'cancelled', cancel_requested_at = now(), finished_at = now(), held = null, waiting = false
where id = any(cast(:ids as uuid[]))

-- name: cancel_running
update jobs set cancel_requested_at = coalesce(cancel_requested_at, now()) where id = any(cast(:ids as uuid[]))

-- name: lock_children
-- Whoever is about to end and leave children behind is waited for.
select id, state from jobs where parent_id = any(cast(:ids as uuid[])) order by id for update

-- name: retry
-- Asked for by a person: a fresh set of attempts.
update jobs set
    state = 'queued', attempt = 0, max_attempts = wanted.max_attempts, progress = 0, result = null,
    error_code = null, error_message = null,
    cancel_requested_at = null, finished_at = null, started_at = null, worker = null,
    run_at = now(), queued_at = now(), published_at = null
from unnest(cast(:ids as uuid[]), cast(:max_attempts as integer[])) as wanted (id, max_attempts)
where jobs.id = wanted.id

-- name: timeline
select seq, id, type, data, occurred_at from events where job_id = :job_id order by id limit :limit

-- name: live
select id from jobs where id = :id and finished_at is null
