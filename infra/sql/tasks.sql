-- name: view
-- In the order in which they were cut: by upload, and by number within each.
-- The splitter's record, with what has become of the task since, in the names that annotation clients know.
select
    t.id, t.project_id, t.upload_id, t.number, t.name, t.video, t.width, t.height, t.frame_count, t.status,
    t.audit_status, t.task_status, t.annotation_version, t.assigned_to, t.created_at,
    done.completed_frames, said.box_count, said.label_counts,
    t.record || jsonb_build_object(
        'projectId', t.project_id, 'uploadId', t.upload_id, 'S3_url', '/v1/files/' || t.video || '/content',
        'status', t.status, 'auditStatus', t.audit_status, 'taskStatus', t.task_status,
        'AutoAnnotationVersion', t.annotation_version, 'assignedAnnotatorId', t.assigned_to,
        'completedFrames', done.completed_frames, 'boxCount', said.box_count,
        'labelCounts', jsonb_build_object('totalCount', said.box_count, 'labelList', said.label_list),
        'datasetVersions', used.versions
    ) as record
from tasks t
cross join lateral (
    select count(*) as completed_frames from frames f where f.task_id = t.id and f.annotated
) as done
cross join lateral (
    select
        cast(coalesce(sum(number), 0) as bigint) as box_count,
        coalesce(jsonb_object_agg(label, number), '{}') as label_counts,
        coalesce(jsonb_agg(jsonb_build_object('label', label, 'count', number) order by label), '[]') as label_list
    from (select label, count(*) as number from boxes b where b.task_id = t.id group by label) as labels
) as said
cross join lateral (
    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'versionId', d.version_id,
                'datasetType', case d.split when 'training' then 1 when 'validation' then 2 else 3 end
            ) order by d.version_id
        ), '[]'
    ) as versions
    from dataset_tasks d where d.task_id = t.id
) as used
where (cast(:id as uuid) is null or t.id = cast(:id as uuid))
    and (cast(:project as text) is null or t.project_id = :project)
    and (cast(:upload as text) is null or t.upload_id = :upload)
    and (cast(:status as smallint) is null or t.status = :status)
    and (
        cast(:after_at as timestamptz) is null
        or (t.created_at, t.number, t.id)
            > (cast(:after_at as timestamptz), cast(:after_number as integer), cast(:after_id as uuid))
    )
order by t.created_at, t.number, t.id
limit :limit

-- name: change
update tasks set
    status = coalesce(cast(:status as smallint), status),
    audit_status = coalesce(cast(:audit_status as smallint), audit_status),
    task_status = coalesce(cast(:task_status as smallint), task_status),
    assigned_to = case when :assign then cast(:assigned_to as text) else assigned_to end
where id = :id

-- name: frames
select
    f.number, f.image, f.thumbnail, f.source, f.annotated, b.boxes is null as is_empty, coalesce(b.boxes, '[]') as boxes
from frames f
left join lateral (
    select jsonb_agg(
        jsonb_build_object(
            'id', id, 'label', label, 'x', x, 'y', y, 'width', width, 'height', height, 'attributes', attributes,
            'confidence', confidence, 'human', human
        ) order by place, id
    ) as boxes
    from boxes where task_id = f.task_id and frame = f.number
) as b on true
where f.task_id = :task and f.number > :after and (cast(:number as integer) is null or f.number = :number)
order by f.number
limit :limit

-- name: mark_annotated
update frames set annotated = true where task_id = :task and number = any(cast(:numbers as integer[]))
returning number

-- name: begin
-- Somebody has begun.
update tasks set task_status = greatest(task_status, 1) where id = :task

-- name: clear
delete from boxes where task_id = :task and frame = any(cast(:numbers as integer[]))

-- name: insert_boxes
insert into boxes (task_id, frame, place, label, x, y, width, height, attributes, human)
select :task, frame, place, label, x, y, width, height, coalesce(attributes, '{}'), true
from jsonb_to_recordset(cast(:boxes as jsonb)) as box (
    frame integer, place integer, label text, x double precision, y double precision, width double precision,
    height double precision, attributes jsonb
)

-- name: to_annotate
-- Tasks of what counts of a content that an annotation of this version has not been through.
select t.id, t.video, t.name from tasks t join uploads u on u.id = t.upload_id
where u.content_id = :content and u.served and t.annotation_version <> :version
order by t.number

-- name: forget_runs
delete from annotation_runs where upload_id = :upload

-- name: insert_runs
insert into annotation_runs (upload_id, task_id, job_id)
select :upload, task_id, job_id
from unnest(cast(:tasks as uuid[]), cast(:jobs as uuid[])) as run (task_id, job_id)

-- name: of_run
-- The task of an annotation, unless a later version has been there already.
select t.id, t.annotation_version from annotation_runs r join tasks t on t.id = r.task_id
where r.job_id = :job_id
for update of t

-- name: clear_found
delete from boxes b where b.task_id = :task and not b.human

-- name: insert_found
-- Not on frames of which a person has said what is on them.
insert into boxes (task_id, frame, place, label, x, y, width, height, confidence, human)
select :task, found.frame, found.place, found.label, found.x, found.y, found.width, found.height, found.confidence, false
from job_steps s
cross join lateral jsonb_to_recordset(s.record -> 'boxes') as found (
    frame integer, place integer, label text, x double precision, y double precision, width double precision,
    height double precision, confidence double precision
)
join frames f on f.task_id = :task and f.number = found.frame and not f.annotated
where s.job_id = :job_id

-- name: annotated
update tasks set annotation_version = :version where id = :task

-- name: run_done
update annotation_runs set done_at = now() where job_id = :job_id

-- name: imported
-- What an import has read: `{"frames": [numbers], "boxes": [...]}` in its step.
select record from job_steps where job_id = :job_id order by ordinal

-- name: lock
select id, width, height, frame_count from tasks where id = :id for update

-- name: detectors
select name, model, settings from detectors where cast(:name as text) is null or name = :name order by name

-- name: put_detector
insert into detectors (name, model, settings, created_by)
values (:name, :model, cast(:settings as jsonb), :created_by)
on conflict (name) do update set model = excluded.model, settings = excluded.settings

-- name: keep_model
insert into blob_keepers (keeper, sha256) values ('detector:' || :name, :model) on conflict do nothing
