-- name: finished
-- Jobs that ended long ago and that nobody needs: no job that waits, and no child, which goes before its parent.
select id from jobs
where finished_at < now() - make_interval(secs => :age)
    and not exists (select from jobs as child where child.parent_id = jobs.id)
    and not exists (
        select from job_dependencies d join jobs as dependent on dependent.id = d.job_id
        where d.needs_id = jobs.id and dependent.finished_at is null
    )
order by finished_at
limit :batch
for update skip locked

-- name: outputs
delete from job_outputs where (job_id, name) in (
    select job_id, name from job_outputs where job_id = any(cast(:ids as uuid[])) limit :batch
)
returning sha256

-- name: delete
-- Inputs, steps and dependencies go with it. A job with outputs that are left waits for the next round.
delete from jobs
where id = any(cast(:ids as uuid[])) and not exists (select from job_outputs where job_id = jobs.id)

-- name: parked
delete from parked where id in (
    select id from parked where resolved_at < now() - make_interval(secs => :age) order by id limit :batch
)
