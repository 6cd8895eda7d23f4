-- name: open
insert into sessions (id_sha256, secret_sha256, expires_at)
select :id_sha256, secret_sha256, least(now() + make_interval(secs => :seconds), expires_at)
from tokens
where secret_sha256 = :secret_sha256 and revoked_at is null and (expires_at is null or expires_at > now())

-- name: find
select t.name, t.roles, t.live_jobs, t.storage_bytes, t.tenant
from sessions s join tokens t using (secret_sha256)
where s.id_sha256 = :id_sha256 and s.expires_at > now()
    and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())

-- name: close
delete from sessions where id_sha256 = :id_sha256

-- name: forget
delete from sessions where expires_at <= now()
