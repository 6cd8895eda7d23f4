-- name: lock
-- In one order, whoever comes.
select id from fetch_tasks where id = any(cast(:ids as bigint[])) order by id for update

-- name: fill
-- Content is there, whoever held the task. What is filled with the same content stays as it is.
update fetch_tasks t set state = 'filled', location = g.location, reason = null, expires_at = null, updated_by = :by
from unnest(cast(:ids as bigint[]), cast(:locations as text[])) as g (id, location)
where t.id = g.id and (t.state <> 'filled' or t.location <> g.location)
returning t.id, t.host, t.external_id, t.location, t.revision

-- name: unavailable
-- It cannot be had. What is filled stays filled.
update fetch_tasks t set state = 'unavailable', reason = g.reason, expires_at = null, updated_by = :by
from unnest(cast(:ids as bigint[]), cast(:reasons as text[])) as g (id, reason)
where t.id = g.id and t.state in ('open', 'leased')
returning t.id, t.host, t.external_id, t.reason, t.revision

-- name: collections_of
-- Whose items asked for these tasks.
select distinct c.id, c.name from candidates l join collections c on c.id = l.collection_id
where l.task_id = any(cast(:ids as bigint[]))

-- name: hopeless
-- Finished items that asked for these tasks and have no other that may still be filled.
select distinct l.collection_id, i.key
from candidates l
join items i on i.pool_id = l.pool_id and i.position = l.position
join item_states s on s.pool_id = l.pool_id and s.position = l.position
where l.task_id = any(cast(:ids as bigint[])) and s.state = 'completed' and not exists (
    select from candidates o join fetch_tasks t on t.id = o.task_id
    where o.pool_id = l.pool_id and o.position = l.position and t.state <> 'unavailable'
)
