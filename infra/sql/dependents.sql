-- name: news
-- Endings that nobody has looked at yet, from the side of the jobs that wait for them.
with news as (
    update job_dependencies set noted = true
    where (job_id, needs_id) in (
        select job_id, needs_id from job_dependencies where outcome is not null and not noted
        order by job_id limit :batch for update skip locked
    )
    returning job_id, needs_id, outcome
)
select job_id, needs_id, outcome from news

-- name: lock
select id, after_failure from jobs
where id = any(cast(:ids as uuid[])) and waiting
order by id
for update

-- name: cancel
update jobs set
    state = 'cancelled', waiting = false, finished_at = now(), error_code = 'dependency_failed',
    error_message = 'The job ' || broken.needs_id || ', which it waited for, has ' ||
        case broken.outcome when 'failed' then 'failed.' else 'been cancelled.' end
from unnest(cast(:ids as uuid[]), cast(:needs as uuid[]), cast(:outcomes as text[]))
    as broken (id, needs_id, outcome)
where jobs.id = broken.id

-- name: release
-- Those of them that wait for nothing any more. What is due goes to the queue at once.
update jobs set
    waiting = false, state = case when run_at <= now() then 'queued' else 'scheduled' end,
    queued_at = case when run_at <= now() then now() end
where id = any(cast(:ids as uuid[]))
    and not exists (select from job_dependencies where job_id = jobs.id and outcome is null)
