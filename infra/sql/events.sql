-- name: number
-- Run by the leader, on the connection that holds its lock: there is never a second one, so no gap and no step back.
-- The last number comes from its index or, when retention left no event, from what retention noted.
-- The rows are found by id alone: asked again whether they have a number, the planner, whose statistics know of none
-- without, compares every event that waits with every one of the batch.
with next as (
    select id, row_number() over (order by id) + greatest(
        (select max(seq) from events), (select seq from event_marks where reader = 'retired')
    ) as seq
    from (select id from events where seq is null order by id limit :batch) as unnumbered
)
update events set seq = next.seq from next where events.id = next.id

-- name: unpublished
-- The first of each type comes whole, and so does every one of a type in `heard`. Of the others, only what they are:
-- thousands of facts that nobody listens to cost next to nothing.
select
    seq, type, whole, case when whole then job_id end as job_id, case when whole then data end as data,
    case when whole then traceparent end as traceparent, case when whole then occurred_at end as occurred_at
from (
    select *,
        type = any(cast(:heard as text[])) or row_number() over (partition by type order by seq) = 1 as whole
    from (
        select seq, type, job_id, data, traceparent, occurred_at from events
        where seq > (select seq from event_marks where reader = 'exchange')
        order by seq
        limit :batch
    ) as batch
) as facts
order by seq

-- name: mark
update event_marks set seq = greatest(seq, :seq) where reader = 'exchange'

-- name: lag
select coalesce(max(extract(epoch from now() - occurred_at)), 0) as seconds
from (
    (select occurred_at from events where seq is null order by id limit 1)
    union all
    (select occurred_at from events where seq > (select seq from event_marks where reader = 'exchange')
     order by seq limit 1)
) as oldest

-- name: span
-- The last number that retention has taken, and the last one given.
select retired.seq as retired, greatest((select max(seq) from events), retired.seq) as head
from event_marks as retired where reader = 'retired'

-- name: reach
-- How far a page looks: a bounded number of facts, whatever is wanted of them.
select max(seq) as seq
from (select seq from events where seq > :since order by seq limit :looks) as ahead

-- name: page
-- A tenant hears of his jobs, and of files that he was the first to bring.
select seq, id, type, job_id, data, traceparent, occurred_at from events
where seq > :since and seq <= :reach and (cast(:types as text) is null or type || '.' ~ :types)
    and (:tenant = '' or case
        when job_id is not null then exists (select from jobs where jobs.id = job_id and jobs.tenant = :tenant)
        else exists (select from tokens where tokens.name = data ->> 'created_by' and tokens.tenant = :tenant)
    end)
order by seq
limit :limit

-- name: of_job
select seq, id, type, job_id, data, traceparent, occurred_at from events
where job_id = :job_id and seq > :since and seq <= :reach
    and (:tenant = '' or exists (select from jobs where jobs.id = :job_id and jobs.tenant = :tenant))
order by seq
limit :limit

-- name: job_is_told
-- Whether a job has ended and nothing of it follows after this number.
select jobs.finished_at is not null and not exists (
    select from events where job_id = jobs.id and (seq is null or seq > :seq)
) as told
from jobs where id = :job_id

-- name: tell
insert into events (type, job_id, traceparent, data)
values (:type, cast(:job_id as uuid), :traceparent, cast(:data as jsonb))

-- name: tell_artifacts
-- Those that belong to the whole job first: its manifest says what the others are.
insert into events (type, job_id, traceparent, data)
select 'artifact.created', j.id, j.traceparent, jsonb_build_object(
    'kind', j.kind, 'count', made.count, 'bytes', made.bytes, 'outputs', made.outputs
)
from jobs j cross join lateral (
    select count(*), sum(size) as bytes,
        jsonb_agg(
            jsonb_build_object('name', name, 'sha256', sha256, 'size', size, 'content_type', content_type)
            order by place
        ) filter (where place <= :shown) as outputs
    from (
        select o.name, o.sha256, o.content_type, b.size,
            row_number() over (order by o.step is not null, o.name) as place
        from job_outputs o join blobs b using (sha256)
        where o.job_id = j.id
            and (o.step is null or exists (select from job_steps s where s.job_id = o.job_id and s.name = o.step))
    ) as output
) as made
where j.id = :job_id and made.count > 0

-- name: tell_file
insert into events (type, traceparent, data)
select :type, :traceparent, jsonb_build_object(
    'sha256', f.sha256, 'sha1', b.sha1, 'size', b.size, 'name', f.name, 'content_type', f.content_type,
    'created_by', f.created_by
)
from files f join blobs b using (sha256)
where f.sha256 = :sha256

-- name: retire
-- The oldest, in the order of their numbers, so that what is left has no gap; never one that somebody still waits for.
delete from events where seq <= (
    select max(seq) from (
        select seq, occurred_at from events where seq is not null order by seq limit :batch
    ) as oldest
    where occurred_at < now() - make_interval(secs => :age)
        and seq <= (select seq from event_marks where reader = 'exchange')
        and seq <= coalesce((select min(seen_seq) from webhooks where disabled_at is null), seq)
)
