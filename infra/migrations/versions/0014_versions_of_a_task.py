"""The versions of datasets that have a task are found by an index."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("dataset_tasks_by_task", "dataset_tasks", ["task_id"])


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
