-- name: create
insert into collections (name, ordering, ttl_seconds, max_attempts, retry_seconds, per_worker, push, created_by)
values (:name, :ordering, :ttl_seconds, :max_attempts, :retry_seconds, :per_worker, :push, :created_by)
on conflict (name) do nothing returning name

-- name: change
update collections set
    ttl_seconds = :ttl_seconds, max_attempts = :max_attempts, retry_seconds = :retry_seconds, per_worker = :per_worker,
    push = :push
where name = :name and ordering = :ordering

-- name: collection
select id, name, ordering, ttl_seconds, max_attempts, retry_seconds, per_worker, push, created_by, created_at
from collections where name = :name

-- name: collections
select id, name, ordering, ttl_seconds, max_attempts, retry_seconds, per_worker, push, created_by, created_at
from collections where name > :after order by name limit :limit

-- name: counts
select partition, state, sum(items)::bigint as items from item_tallies
where collection_id = :collection and (cast(:partition as text) is null or partition = :partition)
    and (cast(:state as text) is null or state = :state)
group by partition, state having sum(items) <> 0 order by partition, state

-- name: workers
select worker, what, sum(items)::bigint as items from worker_tallies
where collection_id = :collection group by worker, what

-- name: fold
-- Sums of sums: nobody sees a moment in which they are not there.
with pieces as (
    delete from item_tallies t using (
        select collection_id, partition, state from item_tallies group by 1, 2, 3 having count(*) > 1
    ) as many
    where (t.collection_id, t.partition, t.state) = (many.collection_id, many.partition, many.state)
    returning t.collection_id, t.partition, t.state, t.items
)
insert into item_tallies (collection_id, partition, state, items)
select collection_id, partition, state, sum(items) from pieces group by 1, 2, 3

-- name: fold_workers
with pieces as (
    delete from worker_tallies t using (
        select collection_id, worker, what from worker_tallies group by 1, 2, 3 having count(*) > 1
    ) as many
    where (t.collection_id, t.worker, t.what) = (many.collection_id, many.worker, many.what)
    returning t.collection_id, t.worker, t.what, t.items
)
insert into worker_tallies (collection_id, worker, what, items)
select collection_id, worker, what, sum(items) from pieces group by 1, 2, 3

-- name: get
select i.pool_id, i.position, i.key, p.partition, i.attributes,
    coalesce(s.state, case when r.lease_id is null then 'available' else 'leased' end) as state,
    coalesce(s.attempt, case when r.lease_id is null then 0 else 1 end) as attempt,
    coalesce(s.lease_id, r.lease_id) as lease_id, l.owner, l.worker, l.expires_at,
    s.ready_at, s.moved_at, s.nacked_at, coalesce(s.nacks, 0) as nacks, s.error_code, s.error_message, s.result
from items i
join pools p on p.id = i.pool_id
left join item_states s on s.pool_id = i.pool_id and s.position = i.position
left join lateral (
    select case when hi > i.position then lease_id end as lease_id from grants
    where pool_id = i.pool_id and lo <= i.position order by lo desc limit 1
) as r on s.state is null
left join leases l on l.id = coalesce(s.lease_id, r.lease_id)
where i.shard in (0, :collection) and i.collection_id = :collection
    and i.shuffle = hashtextextended(cast(:key as text), 0) and i.key = :key

-- name: history
-- What has happened to an item, oldest first: given out with its stretch, then its states, the latest of which it has.
-- Whose lease it was is what tells: whoever takes items says himself what he is called.
select told.at, told."before", told.state, told.attempt, told.lease_id, told.by, told.error_code, told.error_message,
    l.owner
from (
    select 0 as place, l.taken_at as at, 'available' as "before", 'leased' as state, 1 as attempt, l.id as lease_id,
        l.worker as by, null as error_code, null as error_message
    from (
        select hi, lease_id from grants where pool_id = :pool and lo <= :position order by lo desc limit 1
    ) as g join leases l on l.id = g.lease_id
    where g.hi > :position and not exists (
        select from item_history h where h.pool_id = :pool and h.position = :position and h.moved_at < l.taken_at
    ) and not exists (
        select from item_states s where s.pool_id = :pool and s.position = :position and s.moved_at < l.taken_at
    )
    union all
    select id, moved_at, "before", state, attempt, lease_id, moved_by, error_code, error_message
    from item_history where pool_id = :pool and position = :position
    union all
    select 9223372036854775807, moved_at, "before", state, attempt, lease_id, moved_by, error_code, error_message
    from item_states where pool_id = :pool and position = :position
) as told left join leases l on l.id = told.lease_id order by place

-- name: page
-- What nothing has happened to since it was handed out has the attempt of its stretch, the first.
select i.pool_id, i.position, i.key, p.partition, i.attributes,
    coalesce(s.state, case when given.out then 'leased' else 'available' end) as state,
    coalesce(s.attempt, case when given.out then 1 else 0 end) as attempt, s.error_code, s.error_message, s.ready_at,
    s.moved_at
from items i join pools p on p.id = i.pool_id
left join item_states s on s.pool_id = i.pool_id and s.position = i.position
cross join lateral (select i.position < coalesce((
        select g.hi from grants g where g.pool_id = i.pool_id order by g.lo desc limit 1
    ), 0) as out) as given
where i.shard in (0, :collection) and i.pool_id = any(cast(:pools as integer[]))
    and (i.pool_id, i.position) > (:pool, :position)
order by i.pool_id, i.position limit :limit

-- name: page_ended_badly
select i.pool_id, i.position, i.key, s.partition, i.attributes, s.state, s.attempt, s.error_code, s.error_message,
    s.ready_at, s.moved_at
from item_states s join items i using (pool_id, position)
where i.shard in (0, :collection) and s.collection_id = :collection and s.state = :state
    and (s.pool_id, s.position) > (:pool, :position)
    and (cast(:partition as text) is null or s.partition = :partition)
    and (not :dead or s.ready_at is null)
order by s.pool_id, s.position limit :limit

-- name: pools_of
select id from pools
where collection_id = :collection and (cast(:partition as text) is null or partition = :partition) order by id

-- name: overlaps
-- Stretches that lie one upon the other; and items that were given out, or ended, while another lease had them.
with stretches as (
    select g.pool_id, g.lo, lag(g.hi) over (partition by g.pool_id order by g.lo) as before_hi
    from grants g join pools p on p.id = g.pool_id where p.collection_id = :collection
),
moves as (
    select pool_id, position, id, "before", state, lease_id from item_history where collection_id = :collection
    union all
    select pool_id, position, 9223372036854775807, "before", state, lease_id
    from item_states where collection_id = :collection
),
chained as (
    select *, lag(state) over item as was, lag(lease_id) over item as held_by
    from moves window item as (partition by pool_id, position order by id)
),
first_given as (
    select c.*, g.lease_id as granted from chained c left join lateral (
        select lease_id from grants
        where pool_id = c.pool_id and lo <= c.position and hi > c.position order by lo desc limit 1
    ) as g on c.was is null
)
select pool_id, lo as position, 'stretches overlap' as what from stretches where before_hi > lo
union all
select pool_id, position, 'a move is missing' from chained where was is not null and was <> "before"
union all
select pool_id, position, 'another lease ended it' from chained
where was in ('leased', 'running') and held_by <> lease_id
union all
select pool_id, position, 'another lease ended it' from first_given
where was is null and "before" in ('leased', 'running') and granted is distinct from lease_id
