-- name: begin
insert into resumable_uploads (id, name, content_type, created_by, size, expires_at)
values (:id, :name, :content_type, :created_by, :size, now() + make_interval(secs => :seconds))

-- name: get
select id, name, content_type, created_by, size, received, sha256, created_at, expires_at
from resumable_uploads where id = :id and expires_at > now()

-- name: advance
-- Only from where it stands: of two that bring the same piece, one comes too late.
update resumable_uploads set received = received + :size, expires_at = now() + make_interval(secs => :seconds)
where id = :id and received = :start and sha256 is null and received + :size < resumable_uploads.size and expires_at > now()

-- name: add_piece
insert into upload_pieces (upload_id, start, size, object_key) values (:id, :start, :size, :object_key)

-- name: pieces
select start, size, object_key from upload_pieces where upload_id = :id order by start

-- name: complete
update resumable_uploads set received = size, sha256 = :sha256, expires_at = now() + make_interval(secs => :seconds)
where id = :id and received = :start and sha256 is null and expires_at > now()

-- name: drop_pieces
with gone as (delete from upload_pieces where upload_id = :id returning object_key)
insert into erasures (object_key) select object_key from gone on conflict do nothing

-- name: delete
delete from resumable_uploads where id = :id

-- name: erase
insert into erasures (object_key) select unnest(cast(:object_keys as text[])) on conflict do nothing

-- name: expired
select id from resumable_uploads where expires_at <= now() order by expires_at limit :batch for update skip locked
