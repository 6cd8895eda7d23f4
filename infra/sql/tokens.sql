-- name: upsert
insert into tokens (name, roles, secret_sha256, expires_at, live_jobs, storage_bytes, tenant)
values (
    :name, cast(:roles as text[]), :secret_sha256, cast(:expires_at as timestamptz), cast(:live_jobs as integer),
    cast(:storage_bytes as bigint), :tenant
)
on conflict (name) do update set
    roles = excluded.roles, secret_sha256 = excluded.secret_sha256, expires_at = excluded.expires_at,
    live_jobs = excluded.live_jobs, storage_bytes = excluded.storage_bytes,
    created_at = now(), revoked_at = null, password = null
where tokens.tenant = excluded.tenant

-- name: find
select name, roles, live_jobs, storage_bytes, tenant from tokens
where secret_sha256 = :secret_sha256 and revoked_at is null and (expires_at is null or expires_at > now())

-- name: by_name
select name, roles, live_jobs, storage_bytes, tenant, password from tokens
where name = :name and revoked_at is null and (expires_at is null or expires_at > now())

-- name: put_password
update tokens set password = :password
where name = :name and revoked_at is null and (expires_at is null or expires_at > now())

-- name: revoke
update tokens set revoked_at = now() where name = :name and revoked_at is null
