-- name: turn
select pg_advisory_xact_lock(cast(:space as integer), cast(:collection as integer))

-- name: stage
-- Attributes are text until they are items: read as JSON once.
create temporary table if not exists staged (
    line bigint, key text collate "C", partition text collate "C", attributes text
)

-- name: clear
truncate staged

-- name: copy
copy staged (line, key, partition, attributes) from stdin (format csv)

-- name: put
insert into staged
select * from unnest(
    cast(:lines as bigint[]), cast(:keys as text[]), cast(:partitions as text[]), cast(:attributes as text[])
)

-- name: keep
-- Of equal keys the last line counts. One sort does both: it finds equal keys, and it is the random order.
create temporary table novel on commit drop as
select line, key, partition, attributes, shuffle, earlier from (
    select *, row_number() over same as n, lead(line) over same as earlier
    from (select *, hashtextextended(key, 0) as shuffle from staged) as hashed
    window same as (partition by shuffle, key order by line desc)
) as ranked
where n = 1
order by shuffle, key

-- name: counted
select (select count(*) from staged) as staged, (select count(*) from novel) as kept,
    exists (select from items where collection_id = :collection) as known

-- name: repeated
-- Lines whose key comes again further down.
select s.line, s.key from staged s join novel n on n.key = s.key
where n.earlier is not null and s.line < n.line
order by s.line limit :most

-- name: renew
-- What is known keeps its place and its progress; its attributes become what the file says.
update items i set attributes = cast(n.attributes as json)
from novel n
where i.collection_id = :collection and i.shuffle = n.shuffle and i.key = n.key
    and cast(i.attributes as text) <> n.attributes
returning n.line, n.key

-- name: leave_known
-- Only what is not known goes on.
create temporary table unknown on commit drop as
select n.* from novel n where not exists (
    select from items i where i.collection_id = :collection and i.shuffle = n.shuffle and i.key = n.key
)
order by n.shuffle, n.key

-- name: only_unknown
drop table novel

-- name: as_novel
alter table unknown rename to novel

-- name: pools
-- Where they go: to pools of their own, or, in the order of arrival, behind those that came before.
create temporary table targets on commit drop as
with wanted as (select partition, count(*) as items from novel group by partition),
old as (
    select distinct on (p.partition) p.id, p.partition, p.size from pools p join wanted using (partition)
    where p.collection_id = :collection and :arrival order by p.partition, p.id
)
select w.partition, w.items, o.id as pool_id, coalesce(o.size, 0) as size
from wanted w left join old o using (partition)

-- name: new_pools
with made as (
    insert into pools (collection_id, partition) select :collection, partition from targets where pool_id is null
    returning id, partition
)
update targets t set pool_id = made.id from made where t.partition = made.partition and t.pool_id is null

-- name: targets
select count(*) as number from targets

-- name: insert_shuffled
insert into items (pool_id, position, collection_id, key, attributes)
select t.pool_id, t.size + row_number() over (partition by t.pool_id order by n.shuffle, n.key) - 1, :collection,
    n.key, cast(n.attributes as json)
from novel n join targets t using (partition)

-- name: insert_alone
-- All of one partition: it lies in its order already.
insert into items (pool_id, position, collection_id, key, attributes)
select t.pool_id, t.size + row_number() over () - 1, :collection, n.key, cast(n.attributes as json)
from targets t cross join novel n

-- name: insert_in_order
insert into items (pool_id, position, collection_id, key, attributes)
select t.pool_id, t.size + row_number() over (partition by t.pool_id order by n.line) - 1, :collection,
    n.key, cast(n.attributes as json)
from novel n join targets t using (partition)

-- name: open
with grown as (
    update pools p set size = p.size + t.items, drained = false from targets t where p.id = t.pool_id
    returning t.partition, t.items
)
insert into item_tallies (collection_id, partition, state, items)
select :collection, partition, 'available', items from grown

-- name: memory
-- And joins of whole files, whatever the transaction has forbidden before.
set local work_mem = '256MB'; set local enable_hashjoin to default; set local enable_mergejoin to default;
set local enable_seqscan to default; set local enable_bitmapscan to default

-- name: analyze
analyze novel

-- name: statistics
analyze (skip_locked) items

-- name: done
drop table if exists novel, targets
