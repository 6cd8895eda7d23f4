"""Sessions of the console, and uploads in pieces."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id_sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id_sha256 ~ '^[0-9a-f]{64}$'", name=op.f("sessions_id_sha256_check")),
        sa.PrimaryKeyConstraint("id_sha256", name=op.f("sessions_pkey")),
    )
    op.create_index("sessions_expiry", "sessions", ["expires_at"])
    op.create_table(
        "resumable_uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sha256", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("received between 0 and size", name=op.f("resumable_uploads_received_check")),
        sa.CheckConstraint("(sha256 is not null) = (received = size)", name=op.f("resumable_uploads_complete_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("resumable_uploads_pkey")),
    )
    op.create_index("resumable_uploads_expiry", "resumable_uploads", ["expires_at"])
    op.create_table(
        "upload_pieces",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.CheckConstraint("size > 0", name=op.f("upload_pieces_size_check")),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["resumable_uploads.id"], name=op.f("upload_pieces_upload_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "start", name=op.f("upload_pieces_pkey")),
        sa.UniqueConstraint("object_key", name=op.f("upload_pieces_object_key_key")),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
