"""The latest import that changed a collection: the same file again, with nothing changed since, need not be merged.

And the random order of items is given, not generated.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("imported", sa.Text()))
    op.add_column("collections", sa.Column("imported_record", JSONB()))
    op.create_check_constraint(
        op.f("collections_imported_check"), "collections", "(imported is null) = (imported_record is null)"
    )
    op.execute("alter table items alter column shuffle drop expression")
    op.alter_column("items", "shuffle", nullable=False)
    op.create_check_constraint(op.f("items_shuffle_check"), "items", "shuffle = hashtextextended(key, 0)")


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
