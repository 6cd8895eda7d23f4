"""A lease over fetch tasks is found by an index when it holds nothing any more."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "fetch_history_of_lease", "fetch_history", ["lease_id"], postgresql_where=sa.text("state = 'leased'")
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
