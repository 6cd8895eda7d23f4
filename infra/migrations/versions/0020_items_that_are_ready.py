"""Items that are offered again, by when they are and by the lease that they had: nobody who asks reads all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "item_states_ready",
        "item_states",
        ["collection_id", "partition", "ready_at"],
        postgresql_where=sa.text("ready_at is not null"),
    )
    op.drop_index("item_states_held", "item_states")
    op.create_index(
        "item_states_held",
        "item_states",
        ["lease_id"],
        postgresql_where=sa.text("state in ('leased', 'running') or ready_at is not null"),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
