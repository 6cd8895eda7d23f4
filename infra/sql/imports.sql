-- name: turn
select pg_advisory_xact_lock(cast(:space as integer), cast(:collection as integer))

-- name: stage
-- Attributes are read as JSON here, while the next lines are still being made. It must not stay: the next transaction of
-- this session may be somebody else's, a tenant's, who could not touch it.
create temporary table if not exists staged (
    line bigint, key text collate "C", partition text collate "C", attributes json
) on commit drop

-- name: clear
truncate staged

-- name: copy
copy staged (line, key, partition, attributes) from stdin

-- name: put
insert into staged
select * from unnest(
    cast(:lines as bigint[]), cast(:keys as text[]), cast(:partitions as text[]), cast(:attributes as json[])
)

-- name: known
-- Whether a collection has items, and the shard that has them.
select exists (select from items where shard in (0, :collection) and collection_id = :collection) as items,
    case when to_regclass('items_of_' || :collection) is null then 0 else :collection end as shard

-- name: keep
-- Of equal keys the last line counts, the others are left out. One sort does both: it finds equal keys, and it is the
-- random order.
create temporary table novel on commit drop as
select distinct on (shuffle, key) *, false as again, false as known
from (select *, hashtextextended(key, 0) as shuffle from staged) as hashed
order by shuffle, key, line desc

-- name: keep_unlike
-- The same, without what is known as it stands, and with the others as `again`: the index of keys has the order of the
-- sort.
create temporary table novel on commit drop as
select r.*, i.key is not null as known from (
    select *, coalesce(lag(key) over (order by shuffle, key, line desc) = key, false) as again
    from (select *, hashtextextended(key, 0) as shuffle from staged) as hashed
) as r
left join items i on i.shard in (0, :collection) and i.collection_id = :collection and i.shuffle = r.shuffle
    and i.key = r.key
where r.again or i.key is null or cast(i.attributes as text) <> cast(r.attributes as text)
order by r.shuffle, r.key

-- name: counted
select partition, count(*) filter (where again) as repeated, count(*) filter (where not again and known) as changed,
    count(*) filter (where not again and not known) as unknown
from novel group by partition

-- name: counted_new
select partition, count(*) as items from novel group by partition

-- name: repeated
-- Lines whose key comes again further down.
select line, key from novel where again order by line limit :most

-- name: left_out
-- The same where they have been left out. Of very many, some of those below a hash, wherever they stand.
select line, key from (
    select line, key, lead(key) over (order by key, line) = key as again
    from staged where hashtextextended(key, 0) <= :below
) as hashed where again limit :most

-- name: renewed
-- Lines whose attributes are not those of the item.
select line, key from novel where not again and known order by line limit :most

-- name: renew
-- What is known keeps its place and its progress; its attributes become what the file says.
update items i set attributes = n.attributes
from novel n
where i.shard in (0, :collection) and i.collection_id = :collection and i.shuffle = n.shuffle and i.key = n.key
    and not n.again and n.known

-- name: pools
-- Where they go: to pools of their own, or, in the order of arrival, behind those that came before.
create temporary table targets on commit drop as
with wanted as (
    select * from unnest(cast(:partitions as text[]), cast(:items as bigint[])) as w (partition, items)
),
old as (
    select distinct on (p.partition) p.id, p.partition, p.size from pools p join wanted using (partition)
    where p.collection_id = :collection and :arrival order by p.partition, p.id
)
select w.partition collate "C" as partition, w.items, o.id as pool_id, coalesce(o.size, 0) as size
from wanted w left join old o using (partition)

-- name: latest_pools
-- Where a few new items of these partitions go: among those that came last, behind what has been handed out.
select id, partition, size,
    coalesce((select g.hi from grants g where g.pool_id = p.id order by g.lo desc limit 1), 0) as reached
from (
    select distinct on (partition) id, partition, size from pools
    where collection_id = :collection and partition = any(cast(:partitions as text[]))
    order by partition, drained, id desc
) as p

-- name: movable
-- Which of these positions have an item that nothing else refers to.
select position from items i
where shard = :shard and pool_id = :pool and position = any(cast(:positions as bigint[]))
    and not exists (select from item_states s where s.pool_id = i.pool_id and s.position = i.position)
    and not exists (select from candidates c where c.pool_id = i.pool_id and c.position = i.position)
    and not exists (select from item_numbers n where n.pool_id = i.pool_id and n.position = i.position)

-- name: make_room
update items i set position = given.new
from unnest(cast(:olds as bigint[]), cast(:news as bigint[])) as given (old, new)
where i.shard = :shard and i.pool_id = :pool and i.position = given.old

-- name: insert_among
insert into items (shard, pool_id, position, collection_id, key, shuffle, attributes)
select :shard, :pool, (cast(:places as bigint[]))[row_number() over (order by n.shuffle, n.key)], :collection, n.key,
    n.shuffle, n.attributes
from novel n
where n.partition = :partition and not n.again and not n.known

-- name: grow
with grown as (
    update pools set size = size + :items, drained = false where id = :pool returning partition
)
insert into item_tallies (collection_id, partition, state, items)
select :collection, partition, 'available', :items from grown

-- name: new_pools
with made as (
    insert into pools (collection_id, partition) select :collection, partition from targets where pool_id is null
    returning id, partition
)
update targets t set pool_id = made.id from made where t.partition = made.partition and t.pool_id is null

-- name: insert_shuffled
insert into items (shard, pool_id, position, collection_id, key, shuffle, attributes)
select :shard, t.pool_id, t.size + row_number() over (partition by t.pool_id order by n.shuffle, n.key) - 1,
    :collection, n.key, n.shuffle, n.attributes
from novel n join targets t using (partition)
where not n.again and not n.known

-- name: insert_in_order
insert into items (shard, pool_id, position, collection_id, key, shuffle, attributes)
select :shard, t.pool_id, t.size + row_number() over (partition by t.pool_id order by n.line) - 1, :collection,
    n.key, n.shuffle, n.attributes
from novel n join targets t using (partition)
where not n.again and not n.known

-- name: only_partition
-- Nothing if there are several.
select partition from staged
where not exists (select from staged where partition <> (select partition from staged limit 1)) limit 1

-- name: pool
insert into pools (collection_id, partition) values (:collection, :partition) returning id

-- name: places
-- A sequence counts as rows pass; row_number would keep each once more.
create temporary sequence places minvalue 0 start 0 cache 10000

-- name: shard
-- What is staged, as a shard of its own: rows as they come out of the sort, then what all shards have, then the
-- indexes. It could not be attached without one of the checks. The only statements that need the name of a table made.
create or replace function pg_temp.make_shard(collection integer, pool integer) returns bigint language plpgsql
set default_statistics_target = 10 as $$
declare
    shard text = 'items_of_' || collection;
    made bigint;
begin
    execute format('
        create table %I as
        select %s as pool_id, nextval(''places'') as position, %s as collection_id, key, attributes, shuffle, %s as shard
        from (
            select distinct on (shuffle, key) key, attributes, shuffle
            from (select *, hashtextextended(key, 0) as shuffle from staged) as hashed
            order by shuffle, key, line desc
        ) as novel', shard, pool, collection, collection);
    get diagnostics made = row_count;
    execute format('
        alter table %I alter pool_id set not null, alter position set not null, alter collection_id set not null,
            alter key set not null, alter attributes set not null, alter shuffle set not null,
            alter shard set not null,
            add constraint items_key_check check (octet_length(key) between 1 and 1024),
            add constraint items_attributes_check check (json_typeof(attributes) = ''object''),
            add constraint items_shuffle_check check (shuffle = hashtextextended(key, 0)),
            add constraint items_shard_check check (shard in (0, collection_id)),
            add constraint items_partition check (shard = %s)', shard, collection);
    execute format('alter table %I add primary key (pool_id, position)', shard);
    execute format('create unique index %I on %I (shuffle, key)', shard || '_by_key', shard);
    execute format('analyze %I', shard);
    execute format('alter table items attach partition %I for values in (%s)', shard, collection);
    execute format('alter table %I drop constraint items_partition', shard);
    analyze only items;
    return made;
end $$

-- name: make_shard
select pg_temp.make_shard(:collection, :pool) as items

-- name: open_pool
with grown as (
    update pools set size = :items where id = :pool returning partition
)
insert into item_tallies (collection_id, partition, state, items)
select :collection, partition, 'available', :items from grown

-- name: open
with grown as (
    update pools p set size = p.size + t.items, drained = false from targets t where p.id = t.pool_id
    returning t.partition, t.items
)
insert into item_tallies (collection_id, partition, state, items)
select :collection, partition, 'available', items from grown

-- name: memory
-- And joins of whole files, whatever the transaction has forbidden before.
set local work_mem = '256MB'; set local maintenance_work_mem = '256MB'; set local jit to off;
set local enable_hashjoin to default; set local enable_mergejoin to default; set local enable_seqscan to default;
set local enable_bitmapscan to default

-- name: done_before
-- Nothing has changed an item since this very import did.
select imported_record as record from collections where id = :collection and imported = :name

-- name: remember
update collections set imported = :name, imported_record = cast(:record as jsonb) where id = :collection

-- name: forget
update collections set imported = null, imported_record = null where id = :collection and imported is not null

-- name: statistics
-- Tell the planner what items there are now; unless somebody else does so already.
-- Joins go by what is known of all shards together.
analyze (skip_locked) items_shared, only items

-- name: done
drop table if exists novel, targets; drop sequence if exists places
