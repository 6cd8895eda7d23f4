-- name: note
-- The same request at the same time waits here for the first one's end.
insert into repeats (submitted_by, key, request_sha256) values (:submitted_by, :key, :request_sha256)
on conflict do nothing

-- name: made
update repeats set made = :made where submitted_by = :submitted_by and key = :key

-- name: earlier
select request_sha256, made from repeats where submitted_by = :submitted_by and key = :key

-- name: forget
delete from repeats where (submitted_by, key) in (
    select submitted_by, key from repeats where created_at < now() - make_interval(secs => :age)
    order by created_at limit :batch
)
