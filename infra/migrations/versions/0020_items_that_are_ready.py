"""Items that are offered again by when they are: many that have to wait hold up nobody who asks."""

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


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
