-- name: insert
-- Bytes that are there already keep their object; an erased blob comes back with the new one. The conflict locks the
-- row either way, so nothing erases it before this transaction ends.
insert into blobs (sha256, sha1, size, object_key)
select distinct on (sha256) sha256, sha1, size, object_key
from unnest(
    cast(:sha256 as text[]), cast(:sha1 as text[]), cast(:size as bigint[]), cast(:object_key as text[])
) as made (sha256, sha1, size, object_key)
order by sha256
on conflict (sha256) do update set object_key = excluded.object_key, erased_at = null
    where blobs.object_key is null

-- name: erase_unnamed_objects
insert into erasures (object_key)
select object_key from unnest(cast(:object_key as text[])) as made (object_key)
where not exists (select from blobs where blobs.object_key = made.object_key)
on conflict do nothing

-- name: lock
select sha256 from blobs where sha256 = any(cast(:sha256 as text[])) order by sha256 for update

-- name: let_go
-- Erase the blobs that neither a file, an output nor a keeper names any more. The object goes later, by the relay.
with gone as (
    update blobs set object_key = null, erased_at = now()
    from blobs as old
    where blobs.sha256 = old.sha256 and blobs.sha256 = any(cast(:sha256 as text[])) and old.object_key is not null
        and not exists (select from files where files.sha256 = blobs.sha256)
        and not exists (select from models where models.sha256 = blobs.sha256)
        and not exists (select from job_outputs where job_outputs.sha256 = blobs.sha256)
        and not exists (select from blob_keepers where blob_keepers.sha256 = blobs.sha256)
        and not exists (
            select from job_inputs join jobs on jobs.id = job_id
            where job_inputs.sha256 = blobs.sha256 and jobs.finished_at is null
        )
    returning old.object_key
)
insert into erasures (object_key) select object_key from gone on conflict do nothing

-- name: resolve
-- Three rows are enough to know that a prefix is ambiguous; both hashes count. What `guarded` kinds make is for some only,
-- who get it where it is asked for.
select b.sha256, b.sha1, b.size, b.object_key, b.created_at,
    coalesce(t.name, f.name, o.name, b.sha1) as name,
    coalesce(t.content_type, f.content_type, o.content_type, 'application/octet-stream') as content_type,
    f.sha256 is not null as uploaded
from (
    select sha256 from blobs where sha256 >= :prefix and sha256 < :prefix || 'g'
    union
    select sha256 from blobs where sha1 >= :prefix and sha1 < :prefix || 'g'
) as hit
join blobs b using (sha256)
left join files f using (sha256)
left join file_tenants t on t.sha256 = b.sha256 and t.tenant = current_setting('reelmill.tenant', true)
left join lateral (
    select job_outputs.name, job_outputs.content_type from job_outputs join jobs on jobs.id = job_id
    where job_outputs.sha256 = b.sha256 and jobs.state = 'succeeded' and jobs.kind <> all(cast(:guarded as text[]))
    order by job_id limit 1
) as o on true
where b.object_key is not null and (
    f.sha256 is not null or o.name is not null
    or exists (select from blob_keepers where blob_keepers.sha256 = b.sha256)
)
order by b.sha256
limit :limit

-- name: erasures
-- Never an object that a row names, whatever the list says.
select object_key from erasures
where not exists (select from blobs where blobs.object_key = erasures.object_key)
order by created_at
limit :batch

-- name: erased
delete from erasures where object_key = any(cast(:object_key as text[]))

-- name: postpone
-- What the store refused to remove goes to the end of the list, so that it holds up no other.
update erasures set created_at = now() where object_key = any(cast(:object_key as text[]))

-- name: unnamed
-- Which of these objects does no row name, and no live job may still name?
select object_key from unnest(cast(:object_key as text[])) as found (object_key)
where not exists (select from blobs where blobs.object_key = found.object_key)
    and not exists (select from upload_pieces where upload_pieces.object_key = found.object_key)
    and not exists (
        select from jobs
        where jobs.finished_at is null
            and jobs.id = case
                when found.object_key ~ '^jobs/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/'
                then cast(split_part(found.object_key, '/', 2) as uuid)
            end
    )

-- name: unkeep
delete from blob_keepers where keeper = any(cast(:keepers as text[])) returning sha256

-- name: drop_outputs
delete from job_outputs where job_id = any(cast(:jobs as uuid[])) returning sha256
