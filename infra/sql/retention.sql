-- name: finished
-- Jobs that ended long ago and that nobody needs: no job that waits, and no child, which goes before its parent.
select id from jobs
where finished_at < now() - make_interval(secs => :age) and kind <> all(cast(:but as text[]))
    and not exists (select from jobs as child where child.parent_id = jobs.id)
    and not exists (
        select from job_dependencies d join jobs as dependent on dependent.id = d.job_id
        where d.needs_id = jobs.id and dependent.finished_at is null
    )
order by finished_at
limit :batch
for update skip locked

-- name: finished_of_kind
-- The same of a kind that has a term of its own.
select id from jobs
where kind = :kind and finished_at < now() - make_interval(secs => :age)
    and not exists (select from jobs as child where child.parent_id = jobs.id)
    and not exists (
        select from job_dependencies d join jobs as dependent on dependent.id = d.job_id
        where d.needs_id = jobs.id and dependent.finished_at is null
    )
order by id
limit :batch
for update skip locked

-- name: unread
-- Uploads that are old, and that no job that lives, or ended lately, has read.
select sha256 from files
where created_at < now() - make_interval(secs => :age)
    and not exists (
        select from job_inputs join jobs on jobs.id = job_id
        where job_inputs.sha256 = files.sha256
            and (jobs.finished_at is null or jobs.finished_at >= now() - make_interval(secs => :age))
    )
order by created_at, sha256
limit :batch
for update skip locked

-- name: stored
select coalesce(sum(size), 0) as bytes from blobs where object_key is not null

-- name: oldest
-- The oldest jobs that have made something, up to the one with which what they made is as much as the excess. Not those
-- whose children or dependents are there, nor what tasks and datasets are made of.
with old as (
    select id, finished_at, (
        select coalesce(sum(size), 0) from job_outputs join blobs using (sha256) where job_id = jobs.id
    ) as size
    from jobs
    where finished_at is not null
        and exists (select from job_outputs where job_id = jobs.id)
        and not exists (select from uploads where uploads.job_id = jobs.id)
        and not exists (select from tasks where tasks.job_id = jobs.id)
        and not exists (select from dataset_tasks where dataset_tasks.job_id = jobs.id)
        and not exists (select from dataset_archives where dataset_archives.job_id = jobs.id)
        and not exists (select from jobs as child where child.parent_id = jobs.id)
        and not exists (
            select from job_dependencies d join jobs as dependent on dependent.id = d.job_id
            where d.needs_id = jobs.id and dependent.finished_at is null
        )
    order by finished_at
    limit :batch
),
summed as (
    select id, sum(size) over (order by finished_at, id) - size as before from old
)
select id from jobs where id in (select id from summed where before < :excess) for update skip locked

-- name: erased
-- Bytes of content that this very transaction has let go of.
select coalesce(sum(size), 0) as bytes from blobs where erased_at = now()

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
