-- name: find
-- The newest succeeded job that has done this very part of the work, and still has all that came of it.
select s.job_id, s.record from job_steps s join jobs on jobs.id = s.job_id
where s.name = :name and s.name like 'stage:%' and jobs.state = 'succeeded' and jobs.id <> :job_id
order by s.job_id desc
limit 1

-- name: objects
-- Held against deletion until this transaction ends.
select o.name, o.sha256, o.content_type, b.sha1, b.size, b.object_key
from job_outputs o join blobs b using (sha256)
where o.job_id = :job_id and o.step = :name
order by o.name
for key share of b
