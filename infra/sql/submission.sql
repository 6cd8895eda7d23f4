-- name: lock_inputs
-- The inputs that still exist, held against deletion until this transaction ends.
select sha256 from blobs
where sha256 = any(cast(:hashes as text[])) and erased_at is null
order by sha256
for key share

-- name: insert
-- One document instead of an array per column: binding it costs a tenth. Plain json, which is read once, not jsonb.
-- Everybody inserts in one order, so that two who share keys do not wait for each other in a circle.
with made as (
    insert into jobs (
        id, kind, consumer, state, params, version, priority, unique_key, idempotency_key, request_sha256,
        submitted_by, via, parent_id, traceparent, max_attempts, run_at, queued_at, published_at, lane,
        concurrency_key, waiting, after_failure, tenant
    )
    select
        id, kind, consumer, case when later then 'scheduled' else 'queued' end, params, version, priority,
        unique_key, idempotency_key, request_sha256, submitted_by, via, parent_id, traceparent, max_attempts,
        coalesce(run_at, now()), case when not later then now() end,
        -- In the fast lane the message goes out with the row. If it does not, whoever finds that out says so.
        case when not later and lane = 'fast' and cast(:sending as boolean) then now() end,
        lane, concurrency_key, waiting, after_failure,
        -- Whose job it is follows from who asks, which a schedule does in the name of whoever made it.
        coalesce(
            (select tokens.tenant from tokens where tokens.name = submitted_by),
            case when submitted_by like 'schedule:%' then (
                select schedules.tenant from schedules where schedules.name = substr(submitted_by, 10)
            ) end,
            ''
        )
    from (select *, waiting or coalesce(run_at > now(), false) as later from json_to_recordset(cast(:jobs as json)) as (
        id uuid, kind text, consumer text, params jsonb, version smallint, priority smallint, unique_key text,
        idempotency_key text, request_sha256 text, submitted_by text, via text, parent_id uuid, traceparent text,
        max_attempts integer, run_at timestamptz, lane text, concurrency_key text, waiting boolean, after_failure text
    )) as wanted
    order by unique_key, idempotency_key, id
    on conflict do nothing
    returning id
)
-- The ids only when some are missing: as a rule all are made.
select now() as moment, case when count(*) < cast(:number as bigint) then coalesce(array_agg(id), '{}') end as only from made

-- name: insert_inputs
insert into job_inputs (job_id, position, param, sha256)
select job_id, position, param, sha256
from unnest(
    cast(:job_id as uuid[]), cast(:position as smallint[]), cast(:param as text[]), cast(:sha256 as text[])
) as wanted (job_id, position, param, sha256)

-- name: lock_needs
-- The jobs that others wait for: none of them ends between this look and our commit without seeing who waits.
select id from jobs where id = any(cast(:ids as uuid[])) order by id for share

-- name: insert_dependencies
insert into job_dependencies (job_id, needs_id, outcome)
select wanted.job_id, wanted.needs_id, case when jobs.finished_at is not null then jobs.state end
from unnest(cast(:job_id as uuid[]), cast(:needs_id as uuid[])) as wanted (job_id, needs_id)
join jobs on jobs.id = wanted.needs_id

-- name: by_idempotency_key
select id, state, request_sha256 from jobs
where submitted_by = :submitted_by and idempotency_key = :idempotency_key

-- name: by_id
-- What another tenant's job was asked for with is nobody's request.
select jobs.id, jobs.state, case
        when coalesce((select tokens.tenant from tokens where tokens.name = :submitted_by), '') in ('', jobs.tenant)
        then jobs.request_sha256
    end as request_sha256
from jobs where jobs.id = :id

-- name: by_live_key
select id, state, request_sha256 from jobs
where kind = :kind and unique_key = :unique_key
    and tenant = coalesce((select tokens.tenant from tokens where tokens.name = :submitted_by), '') and state in ('scheduled', 'queued', 'running')

-- name: live_of
-- The live jobs of one submitter, counted up to a limit.
select count(*) as jobs from (
    select from jobs where submitted_by = :submitted_by and finished_at is null limit :most
) as live

-- name: patience
-- Another session may hold a key of ours: it is not waited for longer than this.
set lock_timeout = '5s'

-- name: unsent
-- They were to go out with their rows, and did not. One queueing each, as for `outbox.mark`.
update jobs set published_at = null
from unnest(cast(:ids as uuid[]), cast(:queued_at as timestamptz[])) as kept (id, queued_at)
where jobs.id = kept.id and jobs.queued_at = kept.queued_at and jobs.state = 'queued' and jobs.published_at is not null
