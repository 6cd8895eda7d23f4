-- What the handlers of datasets and annotations may ask about the very thing that their job names.

-- name: version
select v.group_name, v.request, v.classes,
    concat_ws('.', v.number / 100, v.number / 10 % 10, v.number % 10) as version
from dataset_versions v join jobs j
    on v.id = cast(j.params ->> 'version' as uuid)
where j.id = :id

-- name: build_frames
select f.frame, f.image, f.thumbnail, f.width, f.height, f.boxes
from dataset_frames f join jobs j
    on f.version_id = cast(j.params ->> 'version' as uuid) and f.task_id = cast(j.params ->> 'task' as uuid)
where j.id = :id and f.augmentation = ''
order by f.frame

-- name: archive_items
select
    f.task_id, d.name as task, f.frame, f.augmentation, d.split, f.width, f.height, f.image, f.text,
    coalesce(f.objects, '[]') as objects, d.built_at is not null as built
from jobs j
join dataset_frames f on f.version_id = cast(j.params ->> 'version' as uuid)
join dataset_tasks d on d.version_id = f.version_id and d.task_id = f.task_id
where j.id = :id and (f.augmentation = '' or d.split = 'training')
order by d.split, d.name, f.task_id, f.frame, f.augmentation

-- name: task
select t.id, t.name, t.width, t.height, t.frame_count, t.record -> 'images' as images
from tasks t join jobs j on t.id = cast(j.params ->> 'task' as uuid)
where j.id = :id

-- name: kept
-- A content that is kept for the version or the task that the job names.
select b.object_key from blob_keepers k join blobs b using (sha256) join jobs j on true
where j.id = :id and k.sha256 = :sha256
    and k.keeper in ('dataset:' || (j.params ->> 'version'), 'task:' || (j.params ->> 'task'))
limit 1
