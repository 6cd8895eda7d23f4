-- name: give
-- A number for each of these items that has none, in this order.
insert into item_numbers (pool_id, position, collection_id)
select i.pool_id, i.position, :collection
from unnest(cast(:keys as text[])) with ordinality as g (key, place)
cross join lateral (
    select pool_id, position from items
    where shard in (0, :collection) and collection_id = :collection and shuffle = hashtextextended(g.key, 0)
        and items.key = g.key limit 1
) as i
where not exists (select from item_numbers n where n.pool_id = i.pool_id and n.position = i.position)
order by g.place
on conflict do nothing

-- name: of
select g.key, n.number
from unnest(cast(:keys as text[])) as g (key)
cross join lateral (
    select pool_id, position from items
    where shard in (0, :collection) and collection_id = :collection and shuffle = hashtextextended(g.key, 0)
        and items.key = g.key limit 1
) as i
join item_numbers n on n.pool_id = i.pool_id and n.position = i.position

-- name: keys
select n.number, i.key from item_numbers n join items i using (pool_id, position)
where i.shard in (0, :collection) and n.collection_id = :collection and n.number = any(cast(:numbers as bigint[]))
