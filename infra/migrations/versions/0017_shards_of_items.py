"""Items in shards: a large first import gets a table of its own, whose indexes are built when its rows are there.

All others stay together in the table that there was, the shard 0 now.
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Shards have the indexes; a parent's would need the number of the shard in them.
PARENT = (
    # First of all what others take first, or they and we would wait for one another.
    "lock table items in access exclusive mode",
    "drop view held_items",
    "alter table items rename to items_shared",
    "alter table items_shared rename constraint items_pkey to items_shared_pkey",
    "alter index items_by_key rename to items_shared_by_key",
    "alter table items_shared add column shard integer not null default 0, "
    "add constraint items_shard_check check (shard in (0, collection_id)), "
    "add constraint items_partition check (shard = 0)",
    "create table items (like items_shared including defaults including constraints) partition by list (shard)",
    "alter table items drop constraint items_partition",
    "alter table items attach partition items_shared for values in (0)",
    "alter table items_shared drop constraint items_partition",
    "analyze only items",
)
# Whoever goes past the parent sees nothing.
POLICIES = (
    "grant select, insert, update, delete on items to reelmill_tenant",
    "alter table items enable row level security",
    "create policy tenants on items to reelmill_tenant using ({rule}) with check ({rule})",
    "drop policy tenants on items_shared",
    "create policy tenants on items_shared to reelmill_tenant using (false)",
)
RULE = "exists (select from collections as parent where parent.id = items.collection_id)"

# Who holds what, as before: stretches of positions without those that something has happened to, and items taken one
# by one. Not a view any more: the planner has to see whose items they are, or it would look at every shard.
HELD_ITEMS = """
create function held_items(collection integer, leases uuid[]) returns table (
    lease_id uuid, pool_id integer, "position" bigint, collection_id integer, partition text, key text,
    attributes json, state text, attempt smallint, leased_at timestamptz, nacked_at timestamptz
) language sql stable as $$
    select g.lease_id, i.pool_id, i.position, i.collection_id, p.partition, i.key, i.attributes,
        text 'leased', smallint '1', l.taken_at, null::timestamptz
    from grants g
    join leases l on l.id = g.lease_id
    join pools p on p.id = g.pool_id
    cross join lateral (
        select * from items
        where items.shard in (0, held_items.collection) and items.pool_id = g.pool_id
            and items.position >= g.lo and items.position < g.hi and not exists (
                select from item_states s where s.pool_id = items.pool_id and s.position = items.position offset 0
            )
        offset 0
    ) as i
    where g.lease_id = any(held_items.leases)
    union all
    select s.lease_id, i.pool_id, i.position, i.collection_id, s.partition, i.key, i.attributes, s.state, s.attempt,
        s.leased_at, s.nacked_at
    from item_states s join items i using (pool_id, position)
    where s.state in ('leased', 'running') and s.lease_id = any(held_items.leases)
        and i.shard in (0, held_items.collection)
$$
"""

# As before, what is linked is noted for other deployments; now statement by statement, and planned anew for each
# collection: a plan that is kept would lock every shard.
LINKED = """
create or replace function candidate_linked() returns trigger language plpgsql security definer as $$
declare whose integer;
begin
    for whose in select distinct collection_id from linked loop
        execute $q$
            select note_replica('link', t.host, t.external_id || e'\\n' || c.name || e'\\n' || i.key)
            from linked l
            join fetch_tasks t on t.id = l.task_id
            join collections c on c.id = l.collection_id
            join items i on i.shard in (0, $1) and i.pool_id = l.pool_id and i.position = l.position
            where l.collection_id = $1 order by l.task_id, l.pool_id, l.position
        $q$ using whose;
    end loop;
    return null;
end $$
"""
LINKING = (
    "drop trigger candidate_linked on candidates",
    "create trigger candidate_linked after insert on candidates referencing new table as linked "
    "for each statement execute function candidate_linked()",
)

# For processes of the version before, until they are replaced.
FORMER_HELD_ITEMS = """
create view held_items with (security_invoker = true) as
select l.id as lease_id, h.pool_id, h.position, h.collection_id, h.partition, h.key, h.attributes, h.state, h.attempt,
    h.leased_at, h.nacked_at
from leases l cross join lateral held_items(l.collection_id, array[l.id]) as h
"""


def upgrade() -> None:
    for statement in (*PARENT, *POLICIES):
        op.execute(statement.format(rule=RULE))
    for statement in (HELD_ITEMS, FORMER_HELD_ITEMS, LINKED, *LINKING):
        op.execute(statement)
    op.execute("grant select on held_items to reelmill_tenant")


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
