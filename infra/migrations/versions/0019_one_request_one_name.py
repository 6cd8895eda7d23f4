"""A request id stands for one request: what was asked for under it is kept as a hash."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("terms", sa.BigInteger()))


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
