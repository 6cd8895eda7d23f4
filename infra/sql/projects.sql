-- name: insert
insert into projects (id, name, created_by) values (:id, :name, :created_by) on conflict do nothing

-- name: page
select
    p.id, p.name, p.created_by, p.created_at,
    (select count(*) from uploads u where u.project_id = p.id) as uploads,
    (select count(*) from tasks t where t.project_id = p.id) as tasks
from projects p
where (cast(:id as text) is null or p.id = :id) and p.id > :after
order by p.id
limit :limit

-- name: uploads
-- Locked: nothing is asked for in a project that goes. What a job is just finishing may still refer to it.
select u.id from projects p left join uploads u on u.project_id = p.id where p.id = :id order by u.id
for no key update of p

-- name: delete
delete from projects where id = :id
