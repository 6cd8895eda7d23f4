-- name: record
insert into parked (
    queue, routing_key, code, detail, fingerprint, message_id, body, size, properties, headers, identity
)
select queue, routing_key, code, detail, fingerprint, message_id, body, size, properties, headers,
    case when redelivered or not exists (select from parked p where p.identity = given.identity) then identity end
from unnest(
    cast(:queue as text[]), cast(:routing_key as text[]), cast(:code as text[]), cast(:detail as text[]),
    cast(:fingerprint as text[]), cast(:message_id as text[]), cast(:body as bytea[]), cast(:size as bigint[]),
    cast(:properties as jsonb[]), cast(:headers as jsonb[]), cast(:identity as text[]),
    cast(:redelivered as boolean[])
) with ordinality as given (
    queue, routing_key, code, detail, fingerprint, message_id, body, size, properties, headers, identity,
    redelivered, place
)
order by place
on conflict (identity) do nothing
returning id, queue, code, detail, message_id

-- name: job
-- The job that a message was to wake up, as long as it waits for it.
select kind, attempt, max_attempts from jobs
where id = :id and state = 'queued' and published_at is not null
for update

-- name: retry_later
update jobs set
    state = 'scheduled', attempt = attempt + :charge, error_code = :code, error_message = :message, held = null,
    run_at = now() + make_interval(secs => :delay)
where id = :id

-- name: give_up
update jobs set
    state = 'failed', attempt = max_attempts, error_code = :code, error_message = :message, held = null,
    finished_at = now()
where id = :id

-- name: of_job
update parked set job_id = :job_id where id = :id

-- name: failed_for
select id from jobs where id = :job_id and state = 'failed' and error_code = :code for update

-- name: get
select
    id, queue, routing_key, code, detail, fingerprint, message_id, job_id, size, properties, headers, parked_at,
    resolution, resolved_at, resolved_by, substring(body from 1 for :most) as body
from parked where id = :id

-- name: page
select
    id, queue, routing_key, code, detail, fingerprint, message_id, job_id, size, parked_at, resolution, resolved_at,
    resolved_by
from parked
where (not cast(:open as boolean) or resolution is null)
    and (cast(:code as text) is null or code = :code)
    and (cast(:queue as text) is null or queue = :queue)
    and (cast(:fingerprint as text) is null or fingerprint = :fingerprint)
    and (cast(:ids as bigint[]) is null or id = any(cast(:ids as bigint[])))
    and (cast(:before as bigint) is null or id < :before)
order by id desc
limit :limit

-- name: groups
-- From one fingerprint to the next by the index, and of each group no more than `most`: the cost is that of the answer.
with recursive causes as (
    (
        select fingerprint from parked
        where resolution is null and fingerprint > cast(:after as text)
        order by fingerprint limit 1
    )
    union all
    select (
        select p.fingerprint from parked p
        where p.resolution is null and p.fingerprint > causes.fingerprint
        order by p.fingerprint limit 1
    )
    from causes where causes.fingerprint is not null
)
select
    causes.fingerprint, newest.id, newest.queue, newest.routing_key, newest.code, newest.detail,
    counted.messages, first.parked_at as first_at, newest.parked_at as last_at
from (select fingerprint from causes where fingerprint is not null limit :limit) as causes
cross join lateral (
    select id, queue, routing_key, code, detail, parked_at from parked
    where fingerprint = causes.fingerprint and resolution is null order by id desc limit 1
) as newest
cross join lateral (
    select parked_at from parked
    where fingerprint = causes.fingerprint and resolution is null order by id limit 1
) as first
cross join lateral (
    select count(*) as messages from (
        select from parked where fingerprint = causes.fingerprint and resolution is null limit :most
    ) as bounded
) as counted
order by causes.fingerprint

-- name: open_count
select count(*) as messages from (select from parked where resolution is null limit :most) as bounded

-- name: hold
select id, queue, routing_key, code, message_id, job_id, body, size > octet_length(body) as truncated, properties, headers
from parked where id = any(cast(:ids as bigint[])) and resolution is null
order by id
for update

-- name: known
select id from parked where id = any(cast(:ids as bigint[]))

-- name: resolve
update parked set resolution = :resolution, resolved_at = now(), resolved_by = :by
where id = any(cast(:ids as bigint[])) and resolution is null
