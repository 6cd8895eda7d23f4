-- name: insert_step
insert into job_steps (job_id, name, ordinal, token, record)
values (:job_id, :name, :ordinal, :token, cast(:record as jsonb))
on conflict do nothing

-- name: earn_attempts
-- Who gets on is no poison: a finished part of the work gives a full set of attempts again, this one included.
update jobs set max_attempts = greatest(max_attempts, attempt - 1 + :allowance) where id = :job_id

-- name: insert_outputs
insert into job_outputs (job_id, name, step, sha256, content_type)
select :job_id, name, :step, sha256, content_type
from unnest(cast(:name as text[]), cast(:sha256 as text[]), cast(:content_type as text[]))
    as made (name, sha256, content_type)

-- name: steps
select name, ordinal, record from job_steps where job_id = :job_id order by ordinal

-- name: step_artifacts
select o.step, o.name, o.sha256, o.content_type, b.sha1, b.size, b.object_key
from job_outputs o join job_steps s on s.job_id = o.job_id and s.name = o.step join blobs b using (sha256)
where o.job_id = :job_id
order by o.name

-- name: discard
insert into discards (job_id)
select job_id from unnest(cast(:job_ids as uuid[])) as unsuccessful (job_id)
where exists (select from job_steps where job_steps.job_id = unsuccessful.job_id)
on conflict do nothing

-- name: next_discard
-- A job that is just being worked on is left for later.
select d.job_id, j.state in ('failed', 'cancelled') as ended
from discards d join jobs j on j.id = d.job_id
order by d.created_at
limit 1
for update of j skip locked

-- name: discard_steps
-- All at once: from then on what is left of the outputs belongs to no step, and counts for nothing.
delete from job_steps where job_id = :job_id

-- name: discard_outputs
delete from job_outputs where job_id = :job_id and name in (
    select o.name from job_outputs o
    where o.job_id = :job_id and o.step is not null
        and not exists (select from job_steps s where s.job_id = o.job_id and s.name = o.step)
    limit :batch
)
returning sha256

-- name: discarded
delete from discards where job_id = :job_id

-- name: forget_outputs
-- What an earlier life of the job left of this step, or under these names.
delete from job_outputs o
where o.job_id = :job_id and o.step is not null and (
    o.step = cast(:step as text)
    or (
        o.name = any(cast(:names as text[]))
        and not exists (select from job_steps s where s.job_id = o.job_id and s.name = o.step)
    )
)
returning sha256

-- name: outputs
-- Shown only once the job has succeeded, and without what an earlier life of the job left.
select o.name, o.sha256, o.content_type, b.sha1, b.size
from job_outputs o join blobs b using (sha256) join jobs j on j.id = o.job_id
where o.job_id = :job_id and j.state = 'succeeded' and o.name > :after
    and (o.step is null or exists (select from job_steps s where s.job_id = o.job_id and s.name = o.step))
order by o.name
limit :limit

-- name: output
select o.sha256 from job_outputs o join jobs j on j.id = o.job_id
where o.job_id = :job_id and o.name = :name and j.state = 'succeeded'
    and (o.step is null or exists (select from job_steps s where s.job_id = o.job_id and s.name = o.step))
