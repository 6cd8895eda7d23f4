-- name: view
-- How an upload goes is how its jobs go. A job that retention has taken away has ended: with success, if its work shows.
select
    u.id, u.project_id, u.request_type, u.annotation_version, u.force, u.served, u.job_id, u.created_by, u.created_at,
    s.state,
    case when s.state = 'succeeded' then 100 else least(99.9, case
        when u.request_type = 0 then coalesce(j.progress, 0)
        when u.job_id is not null and u.cut_at is null then coalesce(j.progress, 0) / 2
        when u.job_id is not null and u.request_type = 1 then 50 + coalesce(r.progress, 0) / 2
        else coalesce(r.progress, 0)
    end) end as progress,
    case when s.state = 'failed' then coalesce(u.error_code, j.error_code, r.error_code, 'cancelled') end as error_code,
    case when s.state = 'failed' then
        coalesce(u.error_message, j.error_message, r.error_message, 'The job was cancelled.')
    end as error_message,
    case when s.state in ('succeeded', 'failed') then greatest(u.cut_at, j.finished_at, r.finished_at) end
        as finished_at,
    case when u.cut_at is null
        then (select count(*) from job_steps where job_steps.job_id = u.job_id)
        else (select count(*) from tasks where tasks.content_id = u.content_id)
    end as task_count
from uploads u
left join jobs j on j.id = u.job_id
left join lateral (
    select
        count(*) filter (where run.done_at is null and coalesce(job.state, 'failed') in ('failed', 'cancelled'))
            as failed,
        count(*) filter (where job.state in ('scheduled', 'queued', 'running')) as live,
        avg(case when run.done_at is not null then 100 else coalesce(job.progress, 0) end) as progress,
        max(job.error_code) filter (where job.state = 'failed') as error_code,
        max(job.error_message) filter (where job.state = 'failed') as error_message,
        max(job.finished_at) as finished_at
    from annotation_runs run left join jobs job on job.id = run.job_id
    where run.upload_id = u.id
) as r on true
cross join lateral (
    select case
        when u.error_code is not null then 'failed'
        when u.content_id is null then 'created'
        when u.job_id is not null and u.cut_at is null then
            case when coalesce(j.state, 'failed') in ('failed', 'cancelled') then 'failed' else 'running' end
        when r.live > 0 then 'running'
        when r.failed > 0 then 'failed'
        else 'succeeded'
    end as state
) as s
where (cast(:id as text) is null or u.id = :id)
    and (cast(:project as text) is null or u.project_id = :project)
    and (
        cast(:cursor_time as timestamptz) is null
        or (u.created_at, u.id) < (cast(:cursor_time as timestamptz), cast(:cursor_id as text))
    )
order by u.created_at desc, u.id desc
limit :limit

-- name: project
select id from projects where id = :id for share

-- name: lock
select id, project_id, content_id, job_id, frames_per_task, served from uploads where id = :id for update

-- name: note_error
-- Only on one that nothing was made of yet.
update uploads set error_code = :code, error_message = :message where id = :id and content_id is null

-- name: insert_content
insert into contents (id, project_id, identity) values (:id, :project, :identity) on conflict do nothing

-- name: lock_content
select id from contents
where (cast(:content as uuid) is not null and id = cast(:content as uuid))
    or (cast(:content as uuid) is null and project_id = :project and identity = :identity)
for update

-- name: look
-- What has been made of a content, and what is being made of it.
select
    (select id from uploads where content_id = :content and served) as served,
    (select frames_per_task from uploads where content_id = :content and served) as frames_per_task,
    exists (
        select from uploads u join jobs j on j.id = u.job_id
        where u.content_id = :content and j.finished_at is null
    ) as cutting,
    exists (
        select from tasks t join frames f on f.task_id = t.id where t.content_id = :content and f.annotated
    ) as human,
    greatest(
        coalesce((select max(annotation_version) from tasks where content_id = :content), 0),
        coalesce((
            select max(u.annotation_version) from uploads u
            where u.content_id = :content and (
                exists (select from jobs j where j.id = u.job_id and j.finished_at is null)
                or exists (
                    select from annotation_runs r join jobs j on j.id = r.job_id
                    where r.upload_id = u.id and j.finished_at is null
                )
            )
        ), 0)
    ) as version

-- name: put
insert into uploads (
    id, project_id, content_id, job_id, request_type, annotation_version, frames_per_task, detector, force, confirmed,
    created_by
)
values (
    :id, :project, :content, :job_id, :request_type, :annotation_version, :frames_per_task,
    cast(:detector as jsonb), :force, :confirmed, :created_by
)
on conflict (id) do update set
    content_id = excluded.content_id, job_id = coalesce(excluded.job_id, uploads.job_id),
    cut_at = case when excluded.job_id is null then uploads.cut_at end,
    request_type = excluded.request_type, annotation_version = excluded.annotation_version,
    frames_per_task = excluded.frames_per_task, detector = excluded.detector, force = excluded.force,
    confirmed = excluded.confirmed, error_code = null, error_message = null

-- name: of_job
select u.id, u.project_id, u.content_id, u.request_type, u.annotation_version, u.detector, u.confirmed
from uploads u join contents c on c.id = u.content_id
where u.job_id = :job_id
for update of u, c

-- name: human
-- Whether people have worked on what is about to be replaced.
select exists (
    select from tasks t join frames f on f.task_id = t.id
    where t.content_id = :content and t.job_id <> :job and f.annotated
) as human

-- name: refuse
update uploads set error_code = :code, error_message = :message where id = :id

-- name: insert_tasks
insert into tasks (id, project_id, upload_id, content_id, job_id, number, name, video, width, height, frame_count, record)
select
    gen_random_uuid(), u.project_id, u.id, u.content_id, u.job_id, s.ordinal, s.record ->> 'taskName', o.sha256,
    cast(s.record ->> 'videoResolutionWidth' as integer), cast(s.record ->> 'videoResolutionHeight' as integer),
    cast(s.record ->> 'frameCount' as integer), s.record
from uploads u
join job_steps s on s.job_id = u.job_id
join job_outputs o on o.job_id = s.job_id and o.name = s.record ->> 'videoPath'
where u.job_id = :job

-- name: insert_frames
-- Sample k of the split is the picture frames/k.jpg; `images` of a record says more about each.
insert into frames (task_id, number, image, thumbnail, source)
select
    t.id, n.number, image.sha256, small.sha256,
    jsonb_build_object('frame', t.record -> 'original_frames' -> (n.number - 1))
        || coalesce(t.record -> 'images' -> (n.number - 1), '{}')
from tasks t
join uploads u on u.job_id = t.job_id
cross join lateral generate_series(1, t.frame_count) as n (number)
cross join lateral (
    select cast(cast(t.record ->> 'firstSample' as integer) + n.number - 1 as text) as k
) as sample
left join job_outputs image on image.job_id = u.job_id
    and image.name = 'frames/' || lpad(sample.k, greatest(6, length(sample.k)), '0') || '.jpg'
left join job_outputs small on small.job_id = u.job_id
    and small.name = 'thumbnails/' || lpad(sample.k, greatest(6, length(sample.k)), '0') || '.jpg'
where t.job_id = :job

-- name: keep
insert into blob_keepers (keeper, sha256)
select distinct 'task:' || t.id, content.sha256
from tasks t
cross join lateral (
    select t.video as sha256
    union all select f.image from frames f where f.task_id = t.id
    union all select f.thumbnail from frames f where f.task_id = t.id
) as content
where t.job_id = :job and content.sha256 is not null
on conflict do nothing

-- name: replaced
-- What other jobs made of the same content.
select
    coalesce(array_agg('task:' || id), '{}') as keepers, coalesce(array_agg(distinct job_id), '{}') as jobs
from tasks where content_id = :content and job_id <> :job

-- name: delete_replaced
delete from tasks where content_id = :content and job_id <> :job

-- name: unserve
update uploads set served = false where content_id = :content and served

-- name: serve
update uploads set served = true, cut_at = now() where id = :upload

-- name: made
-- What an upload has made: keepers and jobs, live ones first told apart.
select
    coalesce((select array_agg('task:' || id) from tasks where upload_id = :upload), '{}') as keepers,
    coalesce((
        select array_agg(job_id) from (
            select job_id from uploads where id = :upload and job_id is not null
            union select job_id from tasks where upload_id = :upload
            union select job_id from annotation_runs where upload_id = :upload
            union select r.job_id from annotation_runs r join tasks t on t.id = r.task_id where t.upload_id = :upload
        ) as made
    ), '{}') as jobs

-- name: delete
delete from uploads where id = :upload

-- name: delete_empty_content
delete from contents c where c.id = :content and not exists (select from uploads where content_id = c.id)
