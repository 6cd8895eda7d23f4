-- name: page
-- The exports of a classifier, newest first, with what each has made.
select j.id, j.state, j.progress, j.params, j.created_at, j.finished_at, j.result, j.error_code, j.error_message,
    o.name, o.sha256, o.content_type, b.size, b.object_key
from jobs j
left join job_outputs o on o.job_id = j.id and j.state = 'succeeded'
left join blobs b using (sha256)
where j.kind = 'export.labels' and j.params ->> 'classifier' = cast(:classifier as text)
    and (cast(:before as uuid) is null or j.id < :before)
order by j.id desc
limit :limit

-- name: get
select j.id, j.state, j.progress, j.params, j.created_at, j.finished_at, j.result, j.error_code, j.error_message,
    o.name, o.sha256, o.content_type, b.size, b.object_key
from jobs j
left join job_outputs o on o.job_id = j.id and j.state = 'succeeded'
left join blobs b using (sha256)
where j.id = :id and j.kind = 'export.labels'

-- name: expired
select id from jobs
where kind = 'export.labels' and finished_at < now() - make_interval(secs => :age)
order by finished_at
limit :batch
for update skip locked
