-- name: one_reader
-- Until this transaction is over, nobody else gives numbers.
select pg_advisory_xact_lock(7262901)

-- name: one_writer
-- Until this transaction is over, nobody else applies what peers tell.
select pg_advisory_xact_lock(7262902)

-- name: number
-- What is being changed right now is left out: it gets a greater number once it is committed. Tasks come before links.
update replicas r set seq = nextval('replica_numbers')
from (
    select kind, space, key from replicas where seq is null
    order by kind = 'link', kind, space, key
    limit :batch
    for update skip locked
) as u
where r.kind = u.kind and r.space = u.space and r.key = u.key

-- name: head
select coalesce(max(seq), 0) as seq from replicas where seq is not null

-- name: page
-- As many as fit into so many bytes, and at least one. What is gone for good tells nothing.
select seq, revision, thing from (
    select seq, revision, thing,
        coalesce(sum(length(cast(thing as text))) over (order by seq rows between unbounded preceding and 1 preceding), 0)
            as before
    from (
        select seq, revision, shared_thing(kind, space, key) as thing
        from replicas where seq > :since order by seq limit :limit
    ) as page
) as measured
where before < :bytes
order by seq

-- name: lock_manifest
select 1 from manifests m join unnest(cast(:spaces as text[]), cast(:keys as text[])) as g (space, key)
    on m.host = g.space and m.external_id = g.key
order by m.host, m.external_id
for update of m

-- name: lock_task
select 1 from fetch_tasks t join unnest(cast(:spaces as text[]), cast(:keys as text[])) as g (space, key)
    on t.host = g.space and t.external_id = g.key
order by t.id
for update of t

-- name: lock_cache
select 1 from cached_values c join unnest(cast(:spaces as text[]), cast(:keys as text[])) as g (space, key)
    on c.space = g.space and c.key = g.key
order by c.space, c.key
for update of c

-- name: current
-- Things as they are here.
select r.space, r.key, r.revision, shared_thing(r.kind, r.space, r.key) as thing
from replicas r join unnest(cast(:spaces as text[]), cast(:keys as text[])) as g (space, key) using (space, key)
where r.kind = :kind

-- name: insert_manifest
insert into manifests (
    host, external_id, directory, files, file_count, size, list_sha256, location, updated_by, updated_at
)
select host, external_id, directory, files, file_count, size, list_sha256, location, updated_by, updated_at
from jsonb_to_recordset(cast(:things as jsonb)) as g (
    host text, external_id text, directory text, files jsonb, file_count integer, size bigint, list_sha256 text,
    location text, updated_by text, updated_at timestamptz
)
order by host, external_id
on conflict do nothing
returning host as space, external_id as key

-- name: update_manifest
update manifests m set
    directory = g.directory, files = g.files, file_count = g.file_count, size = g.size, list_sha256 = g.list_sha256,
    location = g.location, updated_by = g.updated_by, updated_at = g.updated_at
from jsonb_to_recordset(cast(:things as jsonb)) as g (
    host text, external_id text, directory text, files jsonb, file_count integer, size bigint, list_sha256 text,
    location text, updated_by text, updated_at timestamptz
)
where m.host = g.host and m.external_id = g.external_id

-- name: insert_task
insert into fetch_tasks (host, external_id, state, location, reason, created_by, updated_by)
select host, external_id, state, location, reason, coalesce("by", :applier), coalesce("by", :applier)
from jsonb_to_recordset(cast(:things as jsonb)) as g (
    host text, external_id text, state text, location text, reason text, "by" text
)
order by host, external_id
on conflict do nothing
returning host as space, external_id as key

-- name: update_task
-- Somebody here may hold what is open elsewhere: he goes on.
update fetch_tasks t set
    state = case when g.state = 'open' and t.state = 'leased' then t.state else g.state end,
    expires_at = case when g.state = 'open' then t.expires_at end,
    location = g.location, reason = g.reason, updated_by = coalesce(g."by", t.updated_by)
from jsonb_to_recordset(cast(:things as jsonb)) as g (
    host text, external_id text, state text, location text, reason text, "by" text
)
where t.host = g.host and t.external_id = g.external_id

-- name: insert_cache
insert into cached_values (space, key, value, content_type, etag, updated_by, updated_at, expires_at)
select space, key, decode(value, 'base64'), content_type, etag, updated_by, updated_at, expires_at
from jsonb_to_recordset(cast(:things as jsonb)) as g (
    space text, key text, value text, content_type text, etag text, updated_by text, updated_at timestamptz,
    expires_at timestamptz
)
order by space, key
on conflict do nothing
returning space, key

-- name: update_cache
update cached_values c set
    value = decode(g.value, 'base64'), content_type = g.content_type, etag = g.etag, updated_by = g.updated_by,
    updated_at = g.updated_at, expires_at = g.expires_at
from jsonb_to_recordset(cast(:things as jsonb)) as g (
    space text, key text, value text, content_type text, etag text, updated_by text, updated_at timestamptz,
    expires_at timestamptz
)
where c.space = g.space and c.key = g.key

-- name: revise
-- What was taken over has the revision that it has elsewhere, and is told to others.
update replicas r set revision = g.revision, seq = null
from unnest(cast(:spaces as text[]), cast(:keys as text[]), cast(:revisions as bigint[])) as g (space, key, revision)
where r.kind = :kind and r.space = g.space and r.key = g.key

-- name: tell_again
update replicas r set seq = null
from unnest(cast(:spaces as text[]), cast(:keys as text[])) as g (space, key)
where r.kind = :kind and r.space = g.space and r.key = g.key

-- name: feed
-- Another cluster or another database, and be it a copy, is another feed.
select concat_ws('-', (select system_identifier from pg_control_system()), oid) as feed
from pg_database where datname = current_database()

-- name: mark
insert into replica_marks (peer, seq) values (:peer, :seq)
on conflict (peer) do update set seq = excluded.seq, updated_at = now()

-- name: marks
select peer, seq, updated_at from replica_marks order by peer

-- name: items
-- Which of these items are here?
select g.key from unnest(cast(:keys as text[])) as g (key)
where exists (
    select from items
    where shard in (0, :collection) and collection_id = :collection and shuffle = hashtextextended(g.key, 0)
        and items.key = g.key
)
