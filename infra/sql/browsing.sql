-- name: jobs
-- Newest first. What has no index of its own is looked for among the newest `looks` only.
select id, kind, consumer, state, submitted_by, attempt, max_attempts, progress, held, worker, run_at, error_code,
    created_at, queued_at, started_at, finished_at, coalesce(
        (select f.name from job_inputs i join files f using (sha256) where i.job_id = newest.id order by i.position limit 1),
        params ->> 'collection', unique_key
    ) as subject
from (
    select * from jobs
    where (cast(:state as text) is null or state = :state)
        and (cast(:kind as text) is null or kind = :kind)
        and (cast(:before as uuid) is null or id < :before)
        and (cast(:low as uuid) is null or id >= :low)
        and (cast(:high as uuid) is null or id < :high)
    order by id desc
    limit :looks
) as newest
where (cast(:submitted_by as text) is null or submitted_by = :submitted_by)
    and (cast(:created_after as timestamptz) is null or created_at >= :created_after)
    and (cast(:created_before as timestamptz) is null or created_at < :created_before)
    and (cast(:error_code as text) is null or error_code = :error_code)
order by id desc
limit :limit

-- name: of_file
select j.id, j.kind, j.consumer, j.state, j.submitted_by, j.attempt, j.max_attempts, j.progress, j.held, j.worker,
    j.run_at, j.error_code, j.created_at, j.queued_at, j.started_at, j.finished_at, i.param as subject
from job_inputs i join jobs j on j.id = i.job_id
where i.sha256 = :sha256
order by j.id desc
limit :limit

-- name: makers_of_file
select j.id, j.kind, o.name from job_outputs o join jobs j on j.id = o.job_id
where o.sha256 = :sha256 and j.state = 'succeeded'
order by j.id desc
limit :limit

-- name: children
select id, kind, consumer, state, submitted_by, attempt, max_attempts, progress, held, worker, run_at, error_code,
    created_at, queued_at, started_at, finished_at, coalesce(
        (select f.name from job_inputs i join files f using (sha256) where i.job_id = jobs.id order by i.position limit 1),
        params ->> 'collection', unique_key
    ) as subject
from jobs where parent_id = :parent_id
order by id desc
limit :limit

-- name: inputs
select i.param, i.sha256, b.size, f.name, coalesce(f.content_type, made.content_type) as content_type,
    b.object_key is not null as there
from job_inputs i join blobs b using (sha256) left join files f using (sha256)
left join lateral (
    select content_type from job_outputs where job_outputs.sha256 = i.sha256 limit 1
) as made on true
where i.job_id = :job_id
order by i.position

-- name: failures
-- The newest failed jobs by their cause.
select kind, error_code, count(*) as jobs, min(finished_at) as first_at, max(finished_at) as last_at,
    (array_agg(id order by finished_at desc))[1] as example,
    (array_agg(error_message order by finished_at desc))[1] as message
from (
    select id, kind, error_code, error_message, finished_at from jobs
    where state = 'failed' order by id desc limit :looks
) as newest
group by kind, error_code
order by jobs desc, kind, error_code
limit :limit

-- name: failed_ids
select id from (
    select id, kind, error_code from jobs where state = 'failed' order by id desc limit :looks
) as newest
where kind = :kind and error_code = :error_code
limit :limit

-- name: facts
-- Newest first, by number.
select seq, type, job_id, data, occurred_at from events
where seq < :before and seq >= :before - cast(:looks as bigint)
    and (cast(:types as text) is null or type || '.' ~ :types)
order by seq desc
limit :limit

-- name: attention
-- What somebody should look at, besides jobs.
select
    (select count(*) from webhooks where disabled_at is not null) as webhooks_disabled,
    (select count(*) from webhooks where failing_since is not null and disabled_at is null) as webhooks_failing,
    (select count(*) from schedules where error is not null) as schedules_wrong,
    (select count(*) from (select from jobs where held is not null limit :most) as bounded) as held
