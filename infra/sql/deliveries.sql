-- name: insert
insert into deliveries (
    id, source, location, directory, files, extra, host, external_id, list_sha256, job_id, created_by, expires_at
)
values (
    :id, :source, :location, :directory, cast(:files as jsonb), :extra, cast(:host as text),
    cast(:external_id as text), cast(:list_sha256 as text), cast(:job_id as uuid), :by,
    now() + make_interval(secs => cast(:seconds as double precision))
)
returning expires_at

-- name: lock
select id, source, job_id, outcome, created_by, expires_at <= now() as expired from deliveries where id = :id for update

-- name: start
-- A check begins: what an earlier one has found counts no more.
update deliveries set job_id = :job_id, outcome = null, compared = '[]', checked_at = null where id = :id

-- name: view
-- How a delivery goes is how its job goes. One whose job is gone without an outcome has failed.
select
    d.id, d.location, d.directory, d.outcome, d.extra, d.host, d.external_id, d.compared, d.job_id, d.created_by,
    d.created_at, d.checked_at, jsonb_array_length(d.files) as file_count, j.error_code, j.error_message,
    case
        when d.job_id is null then 'open'
        when d.outcome is not null then 'checked'
        when coalesce(j.state, 'failed') in ('failed', 'cancelled') then 'failed'
        else 'checking'
    end as state
from deliveries d left join jobs j on j.id = d.job_id
where (cast(:id as uuid) is null or d.id = cast(:id as uuid))
    and (cast(:outcome as text) is null or d.outcome = :outcome)
    and (
        cast(:cursor_time as timestamptz) is null
        or (d.created_at, d.id) < (cast(:cursor_time as timestamptz), cast(:cursor_id as uuid))
    )
order by d.created_at desc, d.id desc
limit :limit

-- name: get
select id, source, location, directory, files, extra, host, external_id, list_sha256 from deliveries where id = :id

-- name: result
select result from jobs where id = :job_id

-- name: checked
update deliveries set outcome = :outcome, compared = cast(:compared as jsonb), checked_at = now()
where id = :id

-- name: tasks
-- The tasks of what was matched, in the order in which tasks are locked.
select t.id, t.host, t.external_id
from fetch_tasks t join unnest(cast(:hosts as text[]), cast(:external_ids as text[])) as g (host, external_id)
    using (host, external_id)
order by t.id

-- name: unneeded
-- Which of these objects belong to no upload that has matched, is being checked, or has time left to be completed?
select object_key from unnest(cast(:object_key as text[])) as found (object_key)
where not exists (
    select from deliveries d
    where d.id = case
            when found.object_key ~ '^deliveries/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/'
            then cast(split_part(found.object_key, '/', 2) as uuid)
        end
        and (d.outcome = 'matched' or d.outcome is null and d.job_id is not null or d.expires_at > now())
)
