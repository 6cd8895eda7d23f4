-- name: put
-- What is there already stays as it is, and is no news. Content that matched other files does not match these.
insert into manifests as m (host, external_id, directory, files, file_count, size, list_sha256, updated_by)
values (:host, :external_id, :directory, cast(:files as jsonb), :file_count, :size, :list_sha256, :by)
on conflict (host, external_id) do update set
    directory = excluded.directory, files = excluded.files, file_count = excluded.file_count, size = excluded.size,
    list_sha256 = excluded.list_sha256, updated_by = excluded.updated_by, updated_at = now(),
    location = case when m.files = excluded.files then m.location end
where m.directory <> excluded.directory or m.files <> excluded.files
returning xmax = 0 as created

-- name: get
select m.*, r.revision
from manifests m join replicas r on r.kind = 'manifest' and r.space = m.host and r.key = m.external_id
where m.host = :host and m.external_id = :external_id

-- name: page
select host, external_id, directory, file_count, size, list_sha256, location from manifests
where (cast(:directory as text) is null or directory = :directory)
    and (cast(:host as text) is null or host = :host)
    and (host, external_id) > (:after_host, :after_id)
order by host, external_id
limit :limit

-- name: candidates
-- The manifests that a delivery may be: those of its directory, or of one list when it was uploaded for a task; and all
-- that list the same, whatever their directory is called.
with lists as (
    select list_sha256 from manifests where cast(:list_sha256 as text) is null and directory = :directory
    union
    select cast(:list_sha256 as text) where cast(:list_sha256 as text) is not null
)
select host, external_id, list_sha256, files from manifests join lists using (list_sha256)
order by host, external_id
limit :limit

-- name: located
-- Content that matches lies somewhere by now. A manifest that has changed since it was compared is left out.
update manifests m set location = :location, updated_by = :by, updated_at = now()
from unnest(cast(:hosts as text[]), cast(:external_ids as text[])) as g (host, external_id)
where m.host = g.host and m.external_id = g.external_id and m.list_sha256 = :list_sha256
    and m.location is distinct from :location

-- name: unchanged
-- Which of these are as they were when they were compared: locked, in one order.
select m.host, m.external_id
from manifests m join unnest(cast(:hosts as text[]), cast(:external_ids as text[])) as g (host, external_id)
    using (host, external_id)
where m.list_sha256 = :list_sha256
order by m.host, m.external_id
for update of m

-- name: location
-- Where one thing lies: where content matched its manifest, or where its task says.
select host, external_id, location from manifests
where host = :host and external_id = :external_id and location is not null
union
select host, external_id, location from fetch_tasks
where host = :host and external_id = :external_id and location is not null
order by 1, 2, 3

-- name: at
-- What lies at one of these places.
select host, external_id, location from manifests
where location = any(cast(:locations as text[]))
union
select host, external_id, location from fetch_tasks
where location = any(cast(:locations as text[]))
order by 1, 2, 3
limit :limit
