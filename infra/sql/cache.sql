-- name: get
select space, key, value, content_type, etag, updated_by, updated_at, expires_at, length(value) as size,
    extract(epoch from expires_at - now()) as seconds
from cached_values where space = :space and key = :key and expires_at > now()

-- name: put
-- `expected` is the ETag that the value must have, `absent` whether there must be none. No row: it is not so.
insert into cached_values as c (space, key, value, content_type, etag, updated_by, expires_at)
select
    :space, :key, :value, :content_type, :etag, :by, now() + make_interval(secs => cast(:seconds as double precision))
where cast(:expected as text) is null or exists (
    select from cached_values where space = :space and key = :key and expires_at > now() and etag = :expected
)
on conflict (space, key) do update set
    value = excluded.value, content_type = excluded.content_type, etag = excluded.etag,
    updated_by = excluded.updated_by, updated_at = now(), expires_at = excluded.expires_at
where (not :absent or c.expires_at <= now())
    and (cast(:expected as text) is null or c.expires_at > now() and c.etag = :expected)
returning space, key, content_type, etag, updated_by, updated_at, expires_at, length(value) as size

-- name: expire
-- What is taken away is a value that has expired: other deployments hear of it like of any other.
update cached_values set expires_at = now(), value = '', updated_by = :by, updated_at = now()
where space = :space and key = :key and expires_at > now()

-- name: retire
-- Long enough after they have expired: until then, they tell other deployments that they have.
delete from cached_values where (space, key) in (
    select space, key from cached_values where expires_at < now() - make_interval(secs => :age)
    order by expires_at limit :batch
    for update skip locked
)
