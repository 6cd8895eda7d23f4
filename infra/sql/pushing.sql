-- name: collections
select 1 as one from collections where push is not null limit 1

-- name: wanting
-- How many items each queue of a collection lacks, and for how long a lease holds. Anybody may call his worker as the
-- queue is called: it is the owner that tells its leases apart.
select c.name, c.ttl_seconds, c.push - coalesce((
    select sum(l.open) from leases l
    where l.collection_id = c.id and l.worker = :pushed and l.owner = :pushed and l.ended_at is null
), 0) as items
from collections c
where c.push is not null and (cast(:names as text[]) is null or c.name = any(cast(:names as text[])))
order by c.name
