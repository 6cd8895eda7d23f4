-- name: hold
-- Whoever erases objects shares this lock; while it is ours, nobody does. It ends with our transaction.
select pg_advisory_xact_lock(1626, 18)

-- name: may_erase
select pg_try_advisory_xact_lock_shared(1626, 18) as free

-- name: snapshot
select pg_export_snapshot() as snapshot

-- name: statistics
-- A dump has none, and nothing else would ever make those of a partitioned table.
analyze

-- name: tables
select tablename from pg_tables where schemaname = 'public' limit 1

-- name: objects
-- Every object that a row names: contents, and pieces of uploads under way.
select object_key, sha256, size from (
    select object_key, sha256, size from blobs where object_key is not null
    union all
    select object_key, null, size from upload_pieces where object_key is not null
) as named
where object_key > :after
order by object_key
limit :limit
