"""Who holds what, read lease by lease whatever the planner thinks of a stretch; collections that push their items."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# `offset 0` twice: a stretch is read after its grant is known, and each of its items is looked up by itself. For the
# planner every stretch is a two-hundredth of its pool, and with a dozen of them it would rather read the whole pool.
HELD_ITEMS = """
create or replace view held_items as
select g.lease_id, i.pool_id, i.position, i.collection_id, p.partition, i.key, i.attributes,
    text 'leased' as state, smallint '1' as attempt, l.taken_at as leased_at, null::timestamptz as nacked_at
from grants g
join leases l on l.id = g.lease_id
join pools p on p.id = g.pool_id
cross join lateral (
    select * from items
    where items.pool_id = g.pool_id and items.position >= g.lo and items.position < g.hi and not exists (
        select from item_states s where s.pool_id = items.pool_id and s.position = items.position offset 0
    )
    offset 0
) as i
union all
select s.lease_id, i.pool_id, i.position, i.collection_id, s.partition, i.key, i.attributes, s.state, s.attempt,
    s.leased_at, s.nacked_at
from item_states s join items i using (pool_id, position)
where s.state in ('leased', 'running')
"""


def upgrade() -> None:
    op.execute(HELD_ITEMS)
    op.add_column("collections", sa.Column("push", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("collections_push_check"), "collections", "push > 0")
