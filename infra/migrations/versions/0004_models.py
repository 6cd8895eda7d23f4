"""Registered models, and parts of work that are found again by name.

Revision ID: 0004
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(collation="C"), nullable=True),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("kind in ('dlc', 'rig', 'tracker')", name=op.f("models_kind_check")),
        sa.CheckConstraint("version > 0", name=op.f("models_version_check")),
        sa.CheckConstraint("kind <> 'dlc' or sha256 is not null", name=op.f("models_archive_check")),
        sa.CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name=op.f("models_digest_check")),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("models_sha256_fkey")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("models_pkey")),
    )
    op.create_index("models_by_blob", "models", ["sha256"], postgresql_where=sa.text("sha256 is not null"))
    op.create_index("job_steps_stages", "job_steps", ["name"], postgresql_where=sa.text("name like 'stage:%'"))


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
