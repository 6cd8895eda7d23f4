-- name: used
-- The files that a caller was the first to upload, and what he is uploading in pieces.
select
    (select coalesce(sum(b.size), 0) from files f join blobs b using (sha256) where f.created_by = :name)
    + (select coalesce(sum(size), 0) from resumable_uploads
       where created_by = :name and sha256 is null and expires_at > now()) as bytes
