-- name: insert
insert into files (sha256, name, content_type, created_by) values (:sha256, :name, :content_type, :created_by)
on conflict (sha256) do nothing

-- name: insert_name
insert into file_names (sha256, name, content_type, created_by) values (:sha256, :name, :content_type, :created_by)
on conflict do nothing

-- name: page
-- Newest first; (created_at, sha256) is the cursor. A name is any of those that the content was uploaded under.
select f.sha256, b.sha1, b.size, f.name, f.content_type, f.created_by, f.created_at
from files f join blobs b using (sha256)
where (
        cast(:name as text) is null
        or exists (select from file_names n where n.sha256 = f.sha256 and n.name = :name)
    )
    and (cast(:content_type as text) is null or f.content_type = :content_type)
    and (cast(:created_after as timestamptz) is null or f.created_at >= :created_after)
    and (cast(:created_before as timestamptz) is null or f.created_at < :created_before)
    and (
        cast(:cursor_time as timestamptz) is null
        or (f.created_at, f.sha256) < (cast(:cursor_time as timestamptz), cast(:cursor_hash as text))
    )
order by f.created_at desc, f.sha256 desc
limit :limit

-- name: get
select f.sha256, b.sha1, b.size, f.name, f.content_type, f.created_by, f.created_at,
    (select coalesce(jsonb_agg(n.name order by n.created_at, n.name), '[]') from file_names n where n.sha256 = f.sha256)
        as names
from files f join blobs b using (sha256)
where f.sha256 = :sha256

-- name: users
-- The live jobs that read this file.
select distinct jobs.id from jobs join job_inputs on job_inputs.job_id = jobs.id
where job_inputs.sha256 = :sha256 and jobs.state in ('scheduled', 'queued', 'running')
order by jobs.id
limit :limit

-- name: delete
delete from files where sha256 = :sha256
