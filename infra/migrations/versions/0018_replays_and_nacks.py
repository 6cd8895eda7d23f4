"""A lease over fetch tasks is found when it holds nothing any more; searches in vain are counted by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# What an item has been: each search in vain has a time of its own. Those before it was set free by hand do not count.
COUNTED = """
with versions as (
    select h.pool_id, h.position, h.before, h.state, h.moved_at, h.nacked_at
    from item_history h join item_states s using (pool_id, position) where s.nacked_at is not null
    union all
    select pool_id, position, before, state, moved_at, nacked_at from item_states where nacked_at is not null
),
begun as (
    select pool_id, position, max(moved_at) as at from versions
    where before in ('completed', 'missing', 'failed') and state = 'available' and nacked_at is distinct from moved_at
    group by pool_id, position
),
counted as (
    select v.pool_id, v.position, count(distinct v.nacked_at) as nacks
    from versions v left join begun b using (pool_id, position)
    where v.nacked_at > b.at or b.at is null
    group by v.pool_id, v.position
)
update item_states s set nacks = least(c.nacks, 1000) from counted c
where c.pool_id = s.pool_id and c.position = s.position
"""


def upgrade() -> None:
    op.create_index(
        "fetch_history_of_lease", "fetch_history", ["lease_id"], postgresql_where=sa.text("state = 'leased'")
    )
    op.add_column("item_states", sa.Column("nacks", sa.SmallInteger(), server_default="0", nullable=False))
    op.create_check_constraint(op.f("item_states_nacks_check"), "item_states", "nacks >= 0")
    op.execute("alter table item_states disable trigger user")  # this is no move
    op.execute(COUNTED)
    op.execute("alter table item_states enable trigger user")


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
