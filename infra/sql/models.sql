-- name: lock
select pg_advisory_xact_lock(hashtextextended('model ' || :name, 0))

-- name: hold_blob
-- The archive, held against deletion until this transaction ends.
select sha256 from blobs where sha256 = :sha256 and erased_at is null for key share

-- name: insert
insert into models (name, version, kind, digest, sha256, details, created_by)
select :name, coalesce(max(version), 0) + 1, :kind, :digest, :sha256, cast(:details as jsonb), :created_by
from models where name = :name
returning name, version, kind, digest, sha256, details, created_by, created_at

-- name: get
-- Without a version the newest.
select name, version, kind, digest, sha256, details, created_by, created_at from models
where name = :name and (cast(:version as integer) is null or version = :version)
order by version desc
limit 1

-- name: versions
select name, version, kind, digest, sha256, details, created_by, created_at from models
where name = :name order by version desc limit 1000

-- name: page
select distinct on (name) name, version, kind, digest, sha256, details, created_by, created_at from models
where name > :after
order by name, version desc
limit :limit

-- name: archive
select m.sha256, b.object_key from models m join blobs b using (sha256)
where m.name = :name and m.version = :version

-- name: users
-- What still needs a version: live jobs by name, and rigs.
select 'job' as what, cast(id as text) as id from jobs
where finished_at is null and params ->> 'model' in (:reference, :name)
union all
select 'rig', name || '@' || version from models
where kind = 'rig' and details -> 'models' ? :reference
limit 10

-- name: delete
delete from models where name = :name and version = :version returning sha256
