-- name: insert
insert into files (sha256, name, content_type, created_by) values (:sha256, :name, :content_type, :created_by)
on conflict (sha256) do nothing

-- name: insert_name
insert into file_names (sha256, name, content_type, created_by) values (:sha256, :name, :content_type, :created_by)
on conflict do nothing

-- name: insert_tenant
insert into file_tenants (sha256, tenant, name, content_type, created_by)
select :sha256, tenant, :name, :content_type, :created_by from tokens where tokens.name = :created_by and tenant <> ''
on conflict do nothing

-- name: forget
delete from file_tenants where sha256 = :sha256 and tenant = :tenant

-- name: claimed
-- Whether another tenant has uploaded this content, or somebody who acts for none.
select from files where sha256 = :sha256 and (
    exists (select from file_tenants t where t.sha256 = files.sha256)
    or exists (
        select from file_names n left join tokens on tokens.name = n.created_by
        where n.sha256 = files.sha256 and coalesce(tokens.tenant, '') = ''
    )
)

-- name: page
-- Newest first; (created_at, sha256) is the cursor. A name is any of those that the content was uploaded under. A tenant
-- is told what it is called by him, not by whoever came first.
select f.sha256, b.sha1, b.size, coalesce(t.name, f.name) as name, coalesce(t.content_type, f.content_type) as content_type,
    coalesce(t.created_by, f.created_by) as created_by, f.created_at
from files f join blobs b using (sha256)
left join file_tenants t on t.sha256 = f.sha256 and t.tenant = current_setting('reelmill.tenant', true)
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
select f.sha256, b.sha1, b.size, coalesce(t.name, f.name) as name, coalesce(t.content_type, f.content_type) as content_type,
    coalesce(t.created_by, f.created_by) as created_by, coalesce(t.created_at, f.created_at) as created_at,
    (select coalesce(jsonb_agg(n.name order by n.created_at, n.name), '[]') from file_names n where n.sha256 = f.sha256)
        as names
from files f join blobs b using (sha256)
left join file_tenants t on t.sha256 = f.sha256 and t.tenant = current_setting('reelmill.tenant', true)
where f.sha256 = :sha256

-- name: users
-- The live jobs that read this file.
select distinct jobs.id from jobs join job_inputs on job_inputs.job_id = jobs.id
where job_inputs.sha256 = :sha256 and jobs.state in ('scheduled', 'queued', 'running')
    and (:tenant = '' or jobs.tenant = :tenant)
order by jobs.id
limit :limit

-- name: delete
delete from files where sha256 = :sha256
