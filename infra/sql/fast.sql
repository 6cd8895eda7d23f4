-- name: succeed
-- Claim, effect and end in one statement. A job without a row gets one; one that has a row must still be waiting, and
-- be the very job that was done. In the order of ids, so that two batches never wait for each other.
with done as (
    insert into jobs (
        id, kind, consumer, lane, state, params, version, result, progress, priority, submitted_by, via, traceparent,
        worker, attempt, max_attempts, started_at, finished_at
    )
    select
        given.id, :kind, :consumer, 'fast', 'succeeded', given.params, :version, given.result, 100, given.priority,
        given.submitted_by, 'amqp', given.traceparent, :worker, 1, :max_attempts, now(), now()
    -- One document for all: an array of texts costs the client five times as much.
    from json_to_recordset(cast(:jobs as json)) as given (
        id uuid, params jsonb, result jsonb, priority smallint, submitted_by text, traceparent text
    )
    order by given.id
    on conflict (id) do update set
        state = 'succeeded', result = excluded.result, progress = 100, worker = excluded.worker,
        attempt = jobs.attempt + 1, started_at = coalesce(jobs.started_at, now()), finished_at = now(), held = null,
        error_code = null, error_message = null
    where jobs.state = 'queued' and jobs.kind = excluded.kind and jobs.params = excluded.params
    returning queued_at
)
select
    count(*) as moved, count(*) filter (where queued_at is null) as inserted,
    coalesce(
        array_agg(cast(extract(epoch from now() - queued_at) as double precision)) filter (where queued_at is not null),
        '{}'
    ) as waits
from done

-- name: enter
-- A row for every job that has none.
insert into jobs (
    id, kind, consumer, lane, state, params, version, priority, submitted_by, via, traceparent, max_attempts, queued_at,
    published_at
)
select
    given.id, :kind, :consumer, 'fast', 'queued', given.params, :version, given.priority, given.submitted_by, 'amqp',
    given.traceparent, :max_attempts, now(), now()
from json_to_recordset(cast(:jobs as json)) as given (
    id uuid, params jsonb, priority smallint, submitted_by text, traceparent text
)
order by given.id
on conflict (id) do nothing

-- name: take
-- The jobs that still wait, held until we commit.
select
    id, kind, params, version, attempt, max_attempts,
    cast(extract(epoch from now() - queued_at) as double precision) as waited
from jobs
where id = any(cast(:ids as uuid[])) and state = 'queued'
order by id
for no key update

-- name: end
update jobs set
    state = given.state, result = given.result, error_code = given.error_code, error_message = given.error_message,
    progress = case when given.state = 'succeeded' then 100 else progress end, worker = :worker,
    attempt = attempt + 1, started_at = coalesce(started_at, now()), held = null,
    finished_at = case when given.state <> 'scheduled' then now() end,
    run_at = case when given.state = 'scheduled' then now() + make_interval(secs => given.delay) else run_at end
from json_to_recordset(cast(:endings as json)) as given (
    id uuid, state text, result jsonb, error_code text, error_message text, delay double precision
)
where jobs.id = given.id and jobs.state = 'queued'

-- name: hold
update jobs set held = 'paused', published_at = null
where id = any(cast(:ids as uuid[])) and state = 'queued' and held is null

-- name: known
select id from jobs where id = any(cast(:ids as uuid[]))

-- name: paused
select kind from kind_controls where paused_at is not null
