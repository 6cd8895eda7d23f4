-- name: insert
-- It begins with what happens from now on.
insert into webhooks (id, url, secret, types, seen_seq, created_by)
select :id, :url, :secret, cast(:types as text[]), :seen_seq, :created_by
where (select count(*) from webhooks) < :most

-- name: get
select id, url, types, seen_seq, created_by, created_at, failing_since, disabled_at, disabled_reason
from webhooks where id = :id

-- name: listing
select id, url, types, seen_seq, created_by, created_at, failing_since, disabled_at, disabled_reason
from webhooks order by created_at, id

-- name: delete
delete from webhooks where id = :id

-- name: rotate
update webhooks
set secret = :secret, previous_secret = secret, previous_until = now() + make_interval(secs => :overlap)
where id = :id

-- name: enable
-- It goes on where it stopped.
update webhooks set disabled_at = null, disabled_reason = null, failing_since = null
where id = :id and disabled_at is not null

-- name: disable
update webhooks set disabled_at = now(), disabled_reason = :reason where id = :id and disabled_at is null

-- name: deliveries
select d.seq, e.type, d.state, d.attempt, case when d.state = 'pending' then d.next_at end as next_at, d.status,
    d.error, d.finished_at
from webhook_deliveries d left join events e using (seq)
where d.webhook_id = :id and (cast(:before as bigint) is null or d.seq < :before)
order by d.seq desc
limit :limit

-- name: behind
-- Webhooks that have not looked at every fact yet.
select id, types from webhooks
where disabled_at is null and seen_seq < (select max(seq) from events)
order by id

-- name: lock
select id, seen_seq,
    (select count(*) from (
        select from webhook_deliveries where webhook_id = webhooks.id and state = 'pending' limit :most
    ) as pending) as pending
from webhooks where id = :id and disabled_at is null
for update

-- name: collect
-- What is tried out goes to the webhook that is tried out, whatever it wants, and to no other.
insert into webhook_deliveries (webhook_id, seq)
select :id, seq from events
where seq > :since and seq <= :reach and case
    when type = 'webhook.test' then data ->> 'webhook_id' = cast(cast(:id as uuid) as text)
    else cast(:types as text) is null or type || '.' ~ :types
end
on conflict do nothing

-- name: seen
update webhooks set seen_seq = :reach where id = :id

-- name: with_due
select w.id from webhooks w
where w.disabled_at is null and exists (
    select from webhook_deliveries d
    where d.webhook_id = w.id and d.state = 'pending' and d.next_at <= now()
)

-- name: due
select d.webhook_id, d.seq, d.attempt, w.url, w.secret,
    case when w.previous_until > now() then w.previous_secret end as previous_secret,
    e.id, e.type, e.job_id, e.data, e.traceparent, e.occurred_at
from webhook_deliveries d join webhooks w on w.id = d.webhook_id left join events e using (seq)
where d.webhook_id = :id and w.disabled_at is null and d.state = 'pending' and d.next_at <= now()
order by d.next_at, d.seq
limit :batch

-- name: delivered
update webhook_deliveries
set state = 'delivered', attempt = attempt + 1, status = :status, error = null, finished_at = now()
where webhook_id = :id and seq = :seq and state = 'pending'

-- name: refused
-- Without a delay it was the last attempt.
update webhook_deliveries
set attempt = attempt + 1, status = :status, error = :error,
    state = case when cast(:delay as double precision) is null then 'failed' else 'pending' end,
    next_at = now() + make_interval(secs => coalesce(cast(:delay as double precision), 0)),
    finished_at = case when cast(:delay as double precision) is null then now() end
where webhook_id = :id and seq = :seq and state = 'pending'

-- name: well
update webhooks set failing_since = null where id = :id and failing_since is not null

-- name: failing
update webhooks set failing_since = coalesce(failing_since, now()) where id = :id
returning failing_since < now() - make_interval(secs => :patience) as hopeless

-- name: forget
-- Deliveries of facts that are not kept any more.
delete from webhook_deliveries d using webhooks w
where d.webhook_id = w.id and d.seq <= (select seq from event_marks where reader = 'retired')
