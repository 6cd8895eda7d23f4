-- name: create_project
insert into labelling_projects (name, dimension, features, min_votes, salt, created_by)
values (:name, cardinality(cast(:features as text[])), cast(:features as text[]), :min_votes, :salt, :created_by)
on conflict (name) do nothing

-- name: update_project
update labelling_projects set min_votes = :min_votes where name = :name and features = cast(:features as text[])

-- name: add_members
insert into labelling_members (project, member)
select :project, member from unnest(cast(:members as text[])) as given (member) on conflict do nothing

-- name: add_labels
insert into labelling_labels (project, label)
select :project, label from unnest(cast(:labels as text[])) as given (label) on conflict do nothing

-- name: standing
-- Whether there is such a project, and whether somebody is a member of it.
select p.name, p.dimension, p.features, exists (
    select from labelling_members m where m.project = p.name and m.member = :member
) as member
from labelling_projects p where p.name = :project

-- name: project
select name, features, min_votes, created_at,
    array(select label from labelling_labels where project = name order by label) as labels,
    array(select member from labelling_members where project = name order by member) as members
from labelling_projects where name = :project

-- name: share
select
    (select count(*) from datapoints where project = any(cast(:projects as text[])) and label is not null) as labelled,
    (select count(*) from datapoints where project = any(cast(:projects as text[])) and label is null) as rest,
    (
        select count(*) from datapoints
        where project = any(cast(:projects as text[])) and label is null and votes > 0
    ) as pending

-- name: projects_of
select name from labelling_projects
where cast(:everything as boolean) or exists (select from labelling_members where project = name and member = :member)
order by name

-- name: add_texts
insert into datapoints (project, dimension, key, text, label)
select :project, 0, key, text, label
from unnest(cast(:keys as text[]), cast(:texts as text[]), cast(:labels as text[])) as given (key, text, label)
on conflict (project, key) do nothing

-- name: add_vectors
insert into datapoints (project, dimension, key, vector, label)
select :project, :dimension, key, cast(vector as double precision[]), label
from unnest(cast(:keys as text[]), cast(:vectors as text[]), cast(:labels as text[])) as given (key, vector, label)
on conflict (project, key) do nothing

-- name: label_known
-- Datapoints that were there without a label get the one that an import knows.
update datapoints d set label = given.label
from unnest(cast(:keys as text[]), cast(:labels as text[])) as given (key, label)
where d.project = :project and d.key = given.key and d.label is null and given.label is not null

-- name: hold_datapoint
select d.id, d.votes, p.min_votes from datapoints d join labelling_projects p on p.name = d.project
where d.project = :project and d.id = :datapoint
for update of d

-- name: vote
insert into votes (datapoint_id, annotator, project, label)
select :datapoint, :annotator, project, label from labelling_labels where project = :project and label = :label

-- name: count_vote
-- The most frequent label; of several, the one that was said first.
update datapoints set
    votes = votes + 1,
    label = case
        when votes + 1 >= :min_votes then (
            select v.label from votes v where v.datapoint_id = :datapoint
            group by v.label order by count(*) desc, min(v.id) limit 1
        )
        else label
    end
where id = :datapoint
returning id, votes, label

-- name: note_time
insert into sample_timestamps (project, datapoint_id, annotator, start_time, end_time)
select project, id, :annotator, :start_time, :end_time from datapoints where project = :project and id = :datapoint
returning id

-- name: next_text
-- The next text that needs labels and that this person has said nothing about.
select d.id, d.text from datapoints d
where d.project = any(cast(:projects as text[])) and d.label is null and d.text is not null
    and not exists (select from votes v where v.datapoint_id = d.id and v.annotator = :annotator)
order by d.votes desc, d.id
limit 1

-- name: labels_of
select distinct label from labelling_labels where project = any(cast(:projects as text[])) order by label

-- name: project_of
select project from datapoints where id = :datapoint

-- name: add_classifier
insert into classifiers (project, parameters, sha256, vectorizer, precision, job_id, created_by)
values (:project, :parameters, :sha256, :vectorizer, :precision, :job_id, :created_by)
on conflict (job_id) do nothing
returning id

-- name: classifier_of_job
select id from classifiers where job_id = :job_id

-- name: classifiers
-- Newest first, each with the newest export that was asked for.
select c.id, c.project, c.precision, c.sha256, c.vectorizer, c.created_at, c.created_by, e.id as export_id,
    e.state as export_state, p.dimension
from classifiers c join labelling_projects p on p.name = c.project left join lateral (
    select j.id, j.state from jobs j
    where j.kind = 'export.labels' and j.params ->> 'classifier' = cast(c.id as text)
    order by j.id desc limit 1
) as e on true
where (cast(:id as integer) is null or c.id = :id)
    and (cast(:before as integer) is null or c.id < :before)
    and (cast(:project as text) is null or c.project = :project)
    and (cast(:everything as boolean) or exists (
        select from labelling_members m where m.project = c.project and m.member = :member
    ))
order by c.id desc
limit :limit
