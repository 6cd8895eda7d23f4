"""Messages that were spent on jobs that did not count, to be made up for later: no tenant's business."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "message_debts",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("messages >= 0", name=op.f("message_debts_messages_check")),
        sa.PrimaryKeyConstraint("consumer", name=op.f("message_debts_pkey")),
    )
    op.execute("grant select, insert, update, delete on message_debts to reelmill_tenant")
    op.execute("alter table message_debts enable row level security")
    op.execute("create policy tenants on message_debts to reelmill_tenant using (false) with check (false)")


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
