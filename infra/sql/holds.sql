-- name: hold
-- A job that may not start now, and others of which the same is true, so that not each costs a look. Who is held needs
-- no message.
with others as materialized (
    select id from jobs
    where kind = :kind and state = 'queued' and held is null and lane = 'leased'
        and (cast(:key as text) is null or concurrency_key = :key)
    limit :batch
    for no key update skip locked
)
update jobs set held = :reason, published_at = null
where id in (select id from others union all select cast(:id as uuid))

-- name: hold_one
update jobs set held = :reason, published_at = null where id = :id

-- name: let_in_of_key
-- A microsecond makes it a new queueing: no late mark of its earlier message fits, the relay publishes it at once, and it
-- has not lost its place.
update jobs set held = null, published_at = null, queued_at = queued_at - interval '1 microsecond'
where id = (
    select id from jobs where kind = :kind and concurrency_key = :key and held = 'concurrency'
    order by priority desc, queued_at, id limit 1 for no key update skip locked
)

-- name: let_in_of_kind
-- Of the first of a kind, one whose key is free.
update jobs set held = null, published_at = null, queued_at = queued_at - interval '1 microsecond'
where id = (
    select jobs.id
    from (
        select id from jobs where kind = :kind and held = 'concurrency'
        order by priority desc, queued_at, id limit 200
    ) as aside
    join jobs using (id)
    where held = 'concurrency' and (concurrency_key is null or not exists (
        select from jobs as other
        where other.state = 'running' and other.started_at is not null and other.kind = :kind
            and other.concurrency_key = jobs.concurrency_key
    ))
    order by priority desc, queued_at, jobs.id
    limit 1
    for no key update of jobs skip locked
)

-- name: held
-- Which kinds have jobs put aside, why, and what applies now. `starts` have gathered in the bucket.
select kind, held, paused_at is not null as paused,
    coalesce(controls.concurrency, said.concurrency) as concurrency,
    coalesce(controls.per_key, said.per_key) as per_key,
    coalesce(controls.starts_per_second, said.starts_per_second) as starts_per_second,
    floor(least(greatest(1, coalesce(controls.starts_per_second, said.starts_per_second)), coalesce(
        starts_left + coalesce(controls.starts_per_second, said.starts_per_second)
            * extract(epoch from now() - counted_at),
        greatest(1, coalesce(controls.starts_per_second, said.starts_per_second))
    )))::integer as starts
from unnest(
    cast(:kinds as text[]), cast(:concurrency as integer[]), cast(:per_key as integer[]),
    cast(:starts_per_second as double precision[])
) as said (kind, concurrency, per_key, starts_per_second)
cross join unnest(array['paused', 'concurrency', 'rate']) as held
left join kind_controls as controls using (kind)
where exists (select from jobs where jobs.kind = said.kind and jobs.held = held.held)

-- name: taken
-- How much of what a kind may do at once is taken: by those who run, and by those who are free to start.
select
    (select count(*) from (
        select from jobs where state = 'running' and started_at is not null and kind = :kind limit :most
    ) as running) as running,
    (select count(*) from (
        select from jobs where state = 'queued' and held is null and lane = 'leased' and kind = :kind limit :most
    ) as ready) as ready

-- name: let_in
update jobs set held = null, published_at = null, queued_at = queued_at - interval '1 microsecond'
where id in (
    select id from jobs
    where kind = :kind and held = :reason and (cast(:keyed as boolean) or concurrency_key is null)
    order by priority desc, queued_at, id
    limit :batch
    for no key update skip locked
)

-- name: let_in_by_key
-- A round over the keys that have jobs put aside, some at a time, from `after` on: of each as many as its limit leaves
-- room for.
with recursive keys (key) as (
    (select concurrency_key from jobs
     where kind = :kind and held = 'concurrency' and concurrency_key is not null and concurrency_key > :after
     order by concurrency_key limit 1)
    union all
    select (
        select concurrency_key from jobs
        where kind = :kind and held = 'concurrency' and concurrency_key is not null and concurrency_key > keys.key
        order by concurrency_key limit 1
    )
    from keys where keys.key is not null
),
looked_at as materialized (select key from keys where key is not null limit :keys),
fits as (
    select aside.id
    from looked_at
    cross join lateral (
        select cast(:per_key as integer)
            - (select count(*) from (
                select from jobs
                where state = 'running' and started_at is not null and kind = :kind
                    and concurrency_key = looked_at.key
                limit cast(:per_key as integer)
            ) as running)
            - (select count(*) from (
                select from jobs
                where state = 'queued' and held is null and lane = 'leased' and kind = :kind
                    and concurrency_key = looked_at.key
                limit cast(:per_key as integer)
            ) as ready) as jobs
    ) as room
    cross join lateral (
        select id, priority, queued_at from jobs
        where kind = :kind and concurrency_key = looked_at.key and held = 'concurrency'
        order by priority desc, queued_at, id
        limit greatest(0, room.jobs)
    ) as aside
    order by aside.priority desc, aside.queued_at, aside.id
    limit :batch
),
free as materialized (
    select id from jobs where id in (select id from fits) and held = 'concurrency' for no key update skip locked
),
let_in as (
    update jobs set held = null, published_at = null, queued_at = queued_at - interval '1 microsecond'
    where id in (select id from free)
    returning id
)
select
    (select count(*) from let_in) as jobs, (select count(*) from looked_at) as keys,
    (select max(key) from looked_at) as last
