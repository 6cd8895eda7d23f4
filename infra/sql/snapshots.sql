-- name: classifier
select c.id, c.project, c.parameters, c.sha256, c.precision, c.created_at
from classifiers c where c.id = :classifier

-- name: project
select name, dimension, features, salt, now() as taken_at from labelling_projects where name = :project

-- name: standing
-- Who asked for this job: whether he may see the project, and whether he may see everything. Only admins make schedules,
-- and whoever may publish to the broker has been let in by the broker.
select
    j.via in ('amqp', 'schedule') or t.name is not null or exists (
        select from labelling_members m where m.project = :project and m.member = j.submitted_by
    ) as member,
    t.name is not null as admin
from jobs j
left join tokens t on t.name = j.submitted_by and 'admin' = any(t.roles) and t.revoked_at is null
    and (t.expires_at is null or t.expires_at > now())
where j.id = :job_id

-- name: choose
-- COPY takes no parameters: this is how its queries know the project. They ask for it in a query of its own, which is
-- answered once, and not for every row.
select set_config('reelmill.project', :project, true)

-- name: expected
explain (format json)
select from datapoints
where project = (select current_setting('reelmill.project')) and label is null and votes = 0

-- name: unlimited
set local statement_timeout to 0

-- name: vectors
copy (
    select id, vector from datapoints
    where project = (select current_setting('reelmill.project')) and label is null and votes = 0
    order by id
) to stdout (format binary)

-- name: texts
copy (
    select cast(json_build_array(id, text) as text) from datapoints
    where project = (select current_setting('reelmill.project')) and label is null and votes = 0
    order by id
) to stdout (format binary)

-- name: every_text
copy (
    select cast(json_build_array(id, text) as text) from datapoints
    where project = (select current_setting('reelmill.project'))
    order by id
) to stdout (format binary)

-- name: human_vectors
copy (
    select id, vector from datapoints
    where project = (select current_setting('reelmill.project')) and label is not null
    order by id
) to stdout (format binary)

-- name: human
copy (
    select cast(case when d.votes = 0 then json_build_array(d.id, d.text, d.label, json '[]', json '[]') else (
        select json_build_array(
            d.id, d.text, d.label,
            coalesce(array_agg(label order by id), '{}'), coalesce(array_agg(annotator order by id), '{}')
        )
        from votes where datapoint_id = d.id
    ) end as text)
    from datapoints d
    where d.project = (select current_setting('reelmill.project')) and d.label is not null
    order by d.id
) to stdout (format binary)

-- name: pending_vectors
copy (
    select id, vector from datapoints
    where project = (select current_setting('reelmill.project')) and label is null and votes > 0
    order by id
) to stdout (format binary)

-- name: pending
copy (
    select cast(json_build_array(d.id, d.text, d.label, coalesce(v.labels, '{}'), coalesce(v.users, '{}')) as text)
    from datapoints d cross join lateral (
        select array_agg(label order by id) as labels, array_agg(annotator order by id) as users
        from votes where datapoint_id = d.id
    ) as v
    where d.project = (select current_setting('reelmill.project')) and d.label is null and d.votes > 0
    order by d.id
) to stdout (format binary)

-- name: timestamps
copy (
    select cast(json_build_array(
        id, annotator, datapoint_id,
        cast(floor(extract(epoch from start_time) * 1000) as bigint),
        cast(floor(extract(epoch from end_time) * 1000) as bigint)
    ) as text)
    from sample_timestamps where project = (select current_setting('reelmill.project'))
    order by id
) to stdout (format binary)
