-- name: analyses
-- The newest jobs of some kinds: the newest of each by its index, then the newest of those. Said as a range of that
-- index, as the planner would else look for a kind that hardly any job has through all jobs, newest first.
select j.*, i.name as file_name, i.sha256 as file
from unnest(cast(:kinds as text[])) as wanted (kind)
cross join lateral (
    select id, kind, state, params, progress, error_code, submitted_by, created_at, started_at, finished_at from jobs
    where jobs.kind >= wanted.kind
        and (jobs.kind, jobs.id) < (wanted.kind, coalesce(cast(:before as uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    order by jobs.kind desc, jobs.id desc
    limit :limit
) as j
left join lateral (
    select job_inputs.sha256, files.name from job_inputs left join files using (sha256)
    where job_inputs.job_id = j.id order by position limit 1
) as i on true
order by j.id desc
limit :limit
