-- name: act_as
select set_config('reelmill.tenant', :tenant, true), set_config('role', 'reelmill_tenant', true)

-- name: role
select current_setting('role') as role

-- name: set_role
select set_config('role', :role, true)

-- name: jobs
select count(*) as jobs from jobs where id = any(cast(:ids as uuid[]))

-- name: collection
select id from collections where name = :name

-- name: of_caller
select tenant from tokens where name = :name

-- name: model_owner
-- Whose a model's name is: of whoever registered its first version.
select tenant from models where name = :name order by version limit 1

-- name: make_role
-- Roles belong to the server, not to a database: another database may have made it, also just now.
do $$ begin
    create role reelmill_tenant nologin;
exception when duplicate_object or unique_violation then null;
end $$
