-- name: next
-- Whichever message came, the first in line goes: so priorities are exact on brokers that know none. `woken` is the job
-- that the message names; without its row (`known`) nobody goes. The first is taken at once unless something bounds it.
-- A row that somebody holds is on its way to its own turn.
with seen as (
    select cast(:woken as uuid) is null or exists (select from jobs where id = cast(:woken as uuid)) as known
),
foremost as materialized (
    select id, kind, concurrency_key, queued_at, published_at is not null as published
    from jobs
    where (select known from seen) and consumer = :consumer and state = 'queued' and held is null and lane = 'leased'
        and kind = any(cast(:kinds as text[]))
    order by priority desc, queued_at, id
    limit 1
    for no key update skip locked
),
weighed as (
    select
        foremost.*, controls.paused_at is not null as paused,
        coalesce(controls.concurrency, said.concurrency) as concurrency,
        coalesce(controls.per_key, said.per_key) as per_key,
        coalesce(controls.starts_per_second, said.starts_per_second) as starts_per_second
    from foremost
    join unnest(
        cast(:kinds as text[]), cast(:concurrency as integer[]), cast(:per_key as integer[]),
        cast(:starts_per_second as double precision[])
    ) as said (kind, concurrency, per_key, starts_per_second) using (kind)
    left join kind_controls as controls using (kind)
),
claimed as (
    update jobs set
        state = 'running', attempt = attempt + 1, token = nextval('claim_tokens'), worker = :worker,
        lease_until = clock_timestamp() + make_interval(secs => :lease),
        started_at = coalesce(started_at, clock_timestamp()), error_code = null, error_message = null
    from weighed
    where jobs.id = weighed.id and not weighed.paused and weighed.concurrency is null
        and weighed.concurrency_key is null and weighed.starts_per_second is null
    returning jobs.id, params, version, priority, attempt, max_attempts, token, traceparent, submitted_by,
        cast(extract(epoch from now() - jobs.queued_at) as double precision) as waited_seconds
)
select
    known, weighed.id, kind, weighed.concurrency_key, weighed.queued_at, published, paused, concurrency, per_key,
    starts_per_second, params, version, priority, attempt, max_attempts, token, traceparent, submitted_by, waited_seconds
from seen left join weighed on true left join claimed on true

-- name: wait
-- Nobody is free to go. If somebody is only being held for a moment, as by whoever marks him published, the message
-- must not be spent on nobody.
select id from jobs
where consumer = :consumer and state = 'queued' and held is null and lane = 'leased'
    and kind = any(cast(:kinds as text[]))
order by priority desc, queued_at, id
limit 1
for no key update

-- name: lock
-- Where a limit applies, those who count and those who make room take turns.
select pg_advisory_xact_lock(hashtextextended(:name, 0))

-- name: room
select
    (select count(*) from (
        select from jobs where state = 'running' and started_at is not null and kind = :kind
        limit cast(:concurrency as integer)
    ) as running) >= cast(:concurrency as integer) as kind_full,
    (select count(*) from (
        select from jobs
        where state = 'running' and started_at is not null and kind = :kind and concurrency_key = :key
        limit cast(:per_key as integer)
    ) as running) >= cast(:per_key as integer) as key_full

-- name: elder_of_key
-- Somebody with the same key who has been put aside and would go first.
select elder.id, elder.held
from (
    select id from jobs where kind = :kind and concurrency_key = :key and held = 'concurrency'
    order by priority desc, queued_at, id limit 1
) as aside
join jobs as elder using (id) join jobs as mine on mine.id = :id
where elder.held = 'concurrency'
    and (-elder.priority, elder.queued_at, elder.id) < (-mine.priority, mine.queued_at, mine.id)
for no key update of elder skip locked

-- name: elder_of_kind
-- The same among all of a kind; those whose key is taken do not count.
with aside as (
    (select id, priority, queued_at, concurrency_key from jobs where kind = :kind and held = 'concurrency'
     order by priority desc, queued_at, id limit 200)
    union all
    (select id, priority, queued_at, concurrency_key from jobs where kind = :kind and held = 'rate'
     order by priority desc, queued_at, id limit 200)
)
select elder.id, elder.held from aside join jobs as elder using (id) join jobs as mine on mine.id = :id
where elder.held in ('concurrency', 'rate')
    and (-aside.priority, aside.queued_at, aside.id) < (-mine.priority, mine.queued_at, mine.id)
    and (aside.concurrency_key is null or (
        select count(*) from (
            select from jobs
            where state = 'running' and started_at is not null and kind = :kind
                and concurrency_key = aside.concurrency_key
            limit cast(:per_key as integer)
        ) as running
    ) < cast(:per_key as integer))
order by aside.priority desc, aside.queued_at, aside.id
limit 1
for no key update of elder skip locked

-- name: spend
-- A start from the bucket of a kind, which holds at most a second's worth; no row when it is empty.
insert into kind_controls as c (kind, starts_left, counted_at)
values (:kind, greatest(1, :rate) - 1, clock_timestamp())
on conflict (kind) do update set
    starts_left = least(greatest(1, :rate), coalesce(
        c.starts_left + :rate * extract(epoch from clock_timestamp() - c.counted_at), greatest(1, :rate)
    )) - 1,
    counted_at = clock_timestamp()
where least(greatest(1, :rate), coalesce(
    c.starts_left + :rate * extract(epoch from clock_timestamp() - c.counted_at), greatest(1, :rate)
)) >= 1
returning kind

-- name: owe
-- A message was spent on somebody (`id`) who did not count. His own may be on its way, or may never be sent: so one of
-- those who count does so no longer. A microsecond makes it a new queueing, which no late mark fits, which the relay
-- publishes at once, and which has not lost its place. When there is none, but somebody whose message may have been sent
-- and not noted, it is a debt.
with given_up as (
    update jobs set published_at = null, queued_at = queued_at - interval '1 microsecond'
    where id = (
        select id from jobs
        where consumer = :consumer and state = 'queued' and published_at is not null and held is null
            and id <> cast(:id as uuid)
        order by published_at
        limit 1
        for no key update skip locked
    )
    returning id
)
insert into message_debts as debts (consumer, messages)
select :consumer, 1
where not exists (select from given_up) and exists (
    select from jobs
    where consumer = :consumer and state = 'queued' and held is null and lane = 'leased' and id <> cast(:id as uuid)
)
on conflict (consumer) do update set messages = debts.messages + 1

-- name: pay
-- Debts that somebody can pay by now, as `owe` would have had them paid.
with debts as materialized (
    select consumer, messages from message_debts where messages > 0 for update
),
given_up as (
    update jobs set published_at = null, queued_at = queued_at - interval '1 microsecond'
    where id in (
        select paying.id
        from debts
        cross join lateral (
            select id from jobs
            where consumer = debts.consumer and state = 'queued' and published_at is not null and held is null
                and lane = 'leased'
            order by published_at
            limit debts.messages
            for no key update skip locked
        ) as paying
    )
    returning consumer
)
update message_debts as debts
set messages = messages - (select count(*) from given_up where given_up.consumer = debts.consumer)
where messages > 0
returning messages
