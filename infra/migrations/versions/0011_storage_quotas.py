"""Storage quotas of tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("storage_bytes", sa.BigInteger(), nullable=True))
    op.create_check_constraint(op.f("tokens_storage_bytes_check"), "tokens", "storage_bytes > 0")
    op.create_index("files_by_maker", "files", ["created_by"])


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
