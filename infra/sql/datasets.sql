-- name: put_group
insert into dataset_groups (name) values (:name) on conflict do nothing

-- name: lock_group
select name from dataset_groups where name = :name for update

-- name: groups
select
    g.name, g.created_at,
    (select count(*) from dataset_versions v where v.group_name = g.name) as versions,
    (
        select max(v.number) from dataset_versions v
        where v.group_name = g.name and not exists (
            select from dataset_tasks t where t.version_id = v.id and t.built_at is null
        )
    ) as latest
from dataset_groups g
where (cast(:name as text) is null or g.name = :name) and g.name > :after
order by g.name
limit :limit

-- name: last_number
select max(number) as number from dataset_versions where group_name = :name

-- name: request
select id, request from dataset_versions where group_name = :name and number = :number

-- name: candidates
-- Tasks that count, of these projects or by their ids. Fit for a dataset: accepted (6) or checked (12), with pictures.
select
    t.id, t.name, t.content_id, t.frame_count,
    (select count(*) from boxes b where b.task_id = t.id) as boxes,
    t.status in (6, 12) and not exists (
        select from frames f where f.task_id = t.id and f.image is null
    ) as eligible
from tasks t
where (cast(:ids as uuid[]) is not null and t.id = any(cast(:ids as uuid[])))
    or (cast(:ids as uuid[]) is null and t.project_id = any(cast(:projects as text[])))
order by t.id
for share of t

-- name: labels
select distinct label from boxes where task_id = any(cast(:tasks as uuid[])) order by label

-- name: insert_version
insert into dataset_versions (id, group_name, number, request, classes, created_by)
values (:id, :name, :number, cast(:request as jsonb), cast(:classes as jsonb), :created_by)

-- name: insert_tasks
insert into dataset_tasks (version_id, task_id, name, content_id, split)
select :version, t.id, t.name, t.content_id, wanted.split
from unnest(cast(:tasks as uuid[]), cast(:splits as text[])) as wanted (id, split)
join tasks t on t.id = wanted.id

-- name: insert_frames
-- As they are now: what people say later is for later versions.
insert into dataset_frames (version_id, task_id, frame, image, thumbnail, width, height, boxes)
select
    d.version_id, t.id, f.number, f.image, f.thumbnail, t.width, t.height,
    coalesce((
        select jsonb_agg(
            jsonb_build_object(
                'label', b.label, 'x', b.x, 'y', b.y, 'width', b.width, 'height', b.height, 'attributes', b.attributes
            ) order by b.place, b.id
        )
        from boxes b where b.task_id = f.task_id and b.frame = f.number
    ), '[]')
from dataset_tasks d join tasks t on t.id = d.task_id join frames f on f.task_id = t.id
where d.version_id = :version

-- name: keep
insert into blob_keepers (keeper, sha256)
select distinct 'dataset:' || f.version_id, content.sha256
from dataset_frames f
cross join lateral unnest(array[f.image, f.thumbnail, f.text]) as content (sha256)
where f.version_id = :version and content.sha256 is not null
    and (cast(:task as uuid) is null or f.task_id = cast(:task as uuid))
on conflict do nothing

-- name: versions
-- How a version goes is how the jobs of its tasks go. A job that retention has taken away has ended: what it built shows.
select
    v.id, v.group_name, v.number, v.request, v.classes, v.created_by, v.created_at,
    t.tasks, t.complete, t.failed, t.started, t.errors, t.unmatched
from dataset_versions v
cross join lateral (
    select
        count(*) as tasks,
        count(*) filter (where d.built_at is not null) as complete,
        count(*) filter (where d.job_id is not null) as started,
        count(*) filter (
            where d.built_at is null and d.job_id is not null
                and coalesce(j.state, 'failed') in ('failed', 'cancelled')
        ) as failed,
        coalesce(
            array_agg(d.name || ': ' || coalesce(j.error_message, 'The job was cancelled.') order by d.name) filter (
                where d.built_at is null and d.job_id is not null
                    and coalesce(j.state, 'failed') in ('failed', 'cancelled')
            ), '{}'
        ) as errors,
        coalesce(sum(d.unmatched), 0) as unmatched
    from dataset_tasks d left join jobs j on j.id = d.job_id
    where d.version_id = v.id
) as t
where (cast(:id as uuid) is null or v.id = cast(:id as uuid))
    and (cast(:name as text) is null or v.group_name = :name)
    and (cast(:number as integer) is null or v.number = :number)
    and (not :complete or t.complete = t.tasks)
    and v.number < :before
order by v.number desc
limit :limit

-- name: tasks
-- Augmented pictures count where they are used: in training.
select
    d.task_id, d.name, d.content_id, d.split, d.job_id, d.unmatched, j.error_message as error,
    case
        when d.built_at is not null then 'complete'
        when d.job_id is not null and coalesce(j.state, 'failed') in ('failed', 'cancelled') then 'failed'
        else 'pending'
    end as state,
    f.images, f.objects, f.size, f.files
from dataset_tasks d
left join jobs j on j.id = d.job_id
cross join lateral (
    select
        count(*) as images,
        coalesce(sum(jsonb_array_length(coalesce(f.objects, f.boxes))), 0) as objects,
        coalesce(sum(image.size + coalesce(label.size, 0)), 0) as size,
        count(*) + count(f.text) as files
    from dataset_frames f join blobs image on image.sha256 = f.image left join blobs label on label.sha256 = f.text
    where f.version_id = d.version_id and f.task_id = d.task_id
        and (f.augmentation = '' or d.split = 'training')
) as f
where d.version_id = :version
order by d.name, d.task_id

-- name: archives
select a.format, a.job_id, a.sha256, b.size, j.error_message as error,
    case when a.sha256 is not null then 'succeeded' else coalesce(j.state, 'failed') end as state
from dataset_archives a left join jobs j on j.id = a.job_id left join blobs b on b.sha256 = a.sha256
where a.version_id = :version
order by a.format

-- name: items
select
    f.task_id, d.name as task, f.frame, f.augmentation, d.split, f.width, f.height, f.image, f.text, f.thumbnail,
    coalesce(f.objects, '[]') as objects, image.object_key as image_object, label.object_key as text_object
from dataset_frames f
join dataset_tasks d on d.version_id = f.version_id and d.task_id = f.task_id
join blobs image on image.sha256 = f.image
left join blobs label on label.sha256 = f.text
where f.version_id = :version
    and (f.task_id, f.frame, f.augmentation)
        > (cast(:task as uuid), cast(:frame as integer), cast(:augmentation as text))
    and (f.augmentation = '' or d.split = 'training')
    and (cast(:split as text) is null or d.split = :split)
order by f.task_id, f.frame, f.augmentation
limit :limit

-- name: lock_version
select id, group_name, request from dataset_versions where id = :id for update

-- name: unstarted
select task_id, name from dataset_tasks where version_id = :version and job_id is null order by name, task_id

-- name: failed
select d.job_id from dataset_tasks d join jobs j on j.id = d.job_id
where d.version_id = :version and d.built_at is null and j.state in ('failed', 'cancelled')
order by d.job_id

-- name: task_jobs
select job_id from dataset_tasks where version_id = :version and job_id is not null and built_at is null

-- name: started
update dataset_tasks set job_id = wanted.job_id
from unnest(cast(:tasks as uuid[]), cast(:jobs as uuid[])) as wanted (task_id, job_id)
where dataset_tasks.version_id = :version and dataset_tasks.task_id = wanted.task_id

-- name: archive_job
select a.job_id, a.sha256, j.state from dataset_archives a left join jobs j on j.id = a.job_id
where a.version_id = :version and a.format = :format

-- name: put_archive
insert into dataset_archives (version_id, format, job_id) values (:version, :format, :job)
on conflict (version_id, format) do update set job_id = excluded.job_id, sha256 = null, created_at = now()

-- name: of_job
select version_id, task_id from dataset_tasks where job_id = :job_id for update

-- name: built_frames
-- The steps of the job say what became of each picture.
insert into dataset_frames (
    version_id, task_id, frame, augmentation, image, thumbnail, text, width, height, boxes, objects
)
select
    :version, :task, made.frame, made.augmentation, made.image, made.thumbnail, made.text, made.width, made.height,
    '[]', made.objects
from job_steps s
cross join lateral jsonb_to_recordset(s.record -> 'items') as made (
    frame integer, augmentation text, image text, thumbnail text, text text, width integer, height integer,
    objects jsonb
)
where s.job_id = :job_id
on conflict (version_id, task_id, frame, augmentation)
    do update set text = excluded.text, objects = excluded.objects

-- name: built
update dataset_tasks set built_at = now(), unmatched = (
    select coalesce(sum(cast(record ->> 'unmatched' as integer)), 0) from job_steps where job_id = :job_id
)
where version_id = :version and task_id = :task

-- name: packed
update dataset_archives a set sha256 = o.sha256
from job_outputs o
where a.job_id = :job_id and o.job_id = a.job_id
returning a.version_id, o.sha256

-- name: keep_one
insert into blob_keepers (keeper, sha256) values ('dataset:' || :version, :sha256) on conflict do nothing

-- name: set_splits
update dataset_tasks set split = wanted.split
from unnest(cast(:tasks as uuid[]), cast(:splits as text[])) as wanted (task_id, split)
where dataset_tasks.version_id = :version and dataset_tasks.task_id = wanted.task_id

-- name: weights
select
    d.task_id as id, d.content_id, d.name,
    (select count(*) from dataset_frames f where f.version_id = d.version_id and f.task_id = d.task_id
        and f.augmentation = '') as frame_count,
    (select coalesce(sum(jsonb_array_length(f.boxes)), 0) from dataset_frames f
        where f.version_id = d.version_id and f.task_id = d.task_id and f.augmentation = '') as boxes
from dataset_tasks d where d.version_id = :version
order by d.task_id

-- name: drop_archives
delete from dataset_archives where version_id = :version returning job_id, sha256

-- name: unkeep_archives
delete from blob_keepers where keeper = 'dataset:' || :version and sha256 = any(cast(:sha256 as text[]))

-- name: jobs
select job_id from dataset_tasks where version_id = :version and job_id is not null
union
select job_id from dataset_archives where version_id = :version

-- name: delete_version
delete from dataset_versions where id = :id

-- name: delete_empty_group
delete from dataset_groups g where g.name = :name and not exists (
    select from dataset_versions where group_name = g.name
)
