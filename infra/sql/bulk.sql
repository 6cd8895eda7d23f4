-- name: next
-- In the order of the ids, which is a way through all jobs that exist, whoever made the ids. Neither the job that acts
-- nor one that came after it.
select id, kind, state, params from jobs
where id > :after
    and state = any(cast(:states as text[]))
    and (cast(:kind as text) is null or kind = :kind)
    and (cast(:submitted_by as text) is null or submitted_by = :submitted_by)
    and (cast(:created_after as timestamptz) is null or created_at >= :created_after)
    and (cast(:created_before as timestamptz) is null or created_at < :created_before)
    and (cast(:ids as uuid[]) is null or id = any(cast(:ids as uuid[])))
    and id is distinct from cast(:own as uuid)
    -- A tenant's job acts on that tenant's jobs.
    and coalesce((select own.tenant from jobs as own where own.id = cast(:own as uuid)), '') in ('', tenant)
    and created_at <= coalesce((select created_at from jobs where id = cast(:own as uuid)), now())
order by id
limit :limit
for update

-- name: look
select count(*) as jobs, coalesce((array_agg(id))[1:cast(:shown as integer)], '{}') as sample from (
    select id from jobs
    where state = any(cast(:states as text[]))
        and (cast(:kind as text) is null or kind = :kind)
        and (cast(:submitted_by as text) is null or submitted_by = :submitted_by)
        and (cast(:created_after as timestamptz) is null or created_at >= :created_after)
        and (cast(:created_before as timestamptz) is null or created_at < :created_before)
        and (cast(:ids as uuid[]) is null or id = any(cast(:ids as uuid[])))
        and id is distinct from cast(:own as uuid)
        and coalesce((select own.tenant from jobs as own where own.id = cast(:own as uuid)), '') in ('', tenant)
    limit :most
) as bounded

-- name: states
select id, state from jobs where id = any(cast(:ids as uuid[]))

-- name: last_step
select ordinal, record from job_steps where job_id = :job_id order by ordinal desc limit 1
