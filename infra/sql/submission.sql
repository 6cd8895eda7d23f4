-- name: lock_inputs
-- The inputs that still exist, held against deletion until this transaction ends.
select sha256 from blobs
where sha256 = any(cast(:hashes as text[])) and erased_at is null
order by sha256
for key share

-- name: insert
insert into jobs (
    id, kind, consumer, state, params, version, priority, unique_key, idempotency_key, request_sha256,
    submitted_by, via, parent_id, traceparent, max_attempts, run_at, queued_at
)
select
    id, kind, consumer, case when run_at > now() then 'scheduled' else 'queued' end, params, version, priority,
    unique_key, idempotency_key, request_sha256, submitted_by, via, parent_id, traceparent, max_attempts,
    coalesce(run_at, now()), case when run_at > now() then null else now() end
from unnest(
    cast(:id as uuid[]), cast(:kind as text[]), cast(:consumer as text[]), cast(:params as jsonb[]),
    cast(:version as smallint[]), cast(:priority as smallint[]), cast(:unique_key as text[]),
    cast(:idempotency_key as text[]), cast(:request_sha256 as text[]), cast(:submitted_by as text[]),
    cast(:via as text[]), cast(:parent_id as uuid[]), cast(:traceparent as text[]),
    cast(:max_attempts as integer[]), cast(:run_at as timestamptz[])
) as wanted (
    id, kind, consumer, params, version, priority, unique_key, idempotency_key, request_sha256, submitted_by, via,
    parent_id, traceparent, max_attempts, run_at
)
order by unique_key, idempotency_key
on conflict do nothing
returning id, queued_at

-- name: insert_inputs
insert into job_inputs (job_id, position, param, sha256)
select job_id, position, param, sha256
from unnest(
    cast(:job_id as uuid[]), cast(:position as smallint[]), cast(:param as text[]), cast(:sha256 as text[])
) as wanted (job_id, position, param, sha256)

-- name: by_idempotency_key
select id, state, request_sha256 from jobs
where submitted_by = :submitted_by and idempotency_key = :idempotency_key

-- name: by_live_key
select id, state, request_sha256 from jobs
where kind = :kind and unique_key = :unique_key and state in ('scheduled', 'queued', 'running')

-- name: by_id
select id, state, request_sha256 from jobs where id = :id
