"""What requests with an Idempotency-Key have made; datapoints with too few votes are found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "repeats",
        sa.Column("submitted_by", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("made", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("request_sha256 ~ '^[0-9a-f]{64}$'", name=op.f("repeats_request_sha256_check")),
        sa.PrimaryKeyConstraint("submitted_by", "key", name=op.f("repeats_pkey")),
    )
    op.create_index("repeats_age", "repeats", ["created_at"])
    op.create_index(
        "datapoints_pending",
        "datapoints",
        ["project", "id"],
        postgresql_where=sa.text("label is null and votes > 0"),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
