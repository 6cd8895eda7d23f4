"""Projects, uploads, tasks, boxes; datasets and their versions; who keeps a content beside files and outputs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dataset_groups",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="dataset_groups_pkey"),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "id ~ '^([0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$'", name="projects_id_check"
        ),
        sa.PrimaryKeyConstraint("id", name="projects_pkey"),
    )
    op.create_table(
        "blob_keepers",
        sa.Column("keeper", sa.Text(collation="C"), nullable=False),
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name="blob_keepers_sha256_fkey"),
        sa.PrimaryKeyConstraint("keeper", "sha256", name="blob_keepers_pkey"),
    )
    op.create_index("blob_keepers_by_blob", "blob_keepers", ["sha256"], unique=False)
    op.create_table(
        "contents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="contents_project_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="contents_pkey"),
        sa.UniqueConstraint("project_id", "identity", name="contents_project_id_identity_key"),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_name", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("classes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_name"], ["dataset_groups.name"], name="dataset_versions_group_name_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="dataset_versions_pkey"),
        sa.UniqueConstraint("group_name", "number", name="dataset_versions_group_name_number_key"),
    )
    op.create_table(
        "detectors",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["blobs.sha256"], name="detectors_model_fkey"),
        sa.PrimaryKeyConstraint("name", name="detectors_pkey"),
    )
    op.create_table(
        "dataset_archives",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name="dataset_archives_sha256_fkey"),
        sa.ForeignKeyConstraint(
            ["version_id"], ["dataset_versions.id"], name="dataset_archives_version_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "format", name="dataset_archives_pkey"),
    )
    op.create_index("dataset_archives_by_job", "dataset_archives", ["job_id"], unique=False)
    op.create_table(
        "dataset_tasks",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unmatched", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("split in ('training', 'validation', 'testing')", name="dataset_tasks_split_check"),
        sa.ForeignKeyConstraint(
            ["version_id"], ["dataset_versions.id"], name="dataset_tasks_version_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "task_id", name="dataset_tasks_pkey"),
    )
    op.create_index("dataset_tasks_by_job", "dataset_tasks", ["job_id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("request_type", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("annotation_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("frames_per_task", sa.Integer(), nullable=True),
        sa.Column("detector", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("force", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("confirmed", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("served", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("cut_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "id ~ '^([0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$'", name="uploads_id_check"
        ),
        sa.CheckConstraint("(request_type = 0) = (annotation_version = 0)", name="uploads_annotation_version_check"),
        sa.CheckConstraint("request_type between 0 and 2", name="uploads_request_type_check"),
        sa.ForeignKeyConstraint(["content_id"], ["contents.id"], name="uploads_content_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="uploads_project_id_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="uploads_pkey"),
    )
    op.create_index("uploads_by_content", "uploads", ["content_id"], unique=False)
    op.create_index(
        "uploads_by_job", "uploads", ["job_id"], unique=True, postgresql_where=sa.text("job_id is not null")
    )
    op.create_index("uploads_by_project", "uploads", ["project_id", "created_at", "id"], unique=False)
    op.create_index("uploads_served", "uploads", ["content_id"], unique=True, postgresql_where=sa.text("served"))
    op.create_table(
        "dataset_frames",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("augmentation", sa.Text(collation="C"), server_default="", nullable=False),
        sa.Column("image", sa.Text(collation="C"), nullable=False),
        sa.Column("thumbnail", sa.Text(collation="C"), nullable=True),
        sa.Column("text", sa.Text(collation="C"), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("boxes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("objects", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["image"], ["blobs.sha256"], name="dataset_frames_image_fkey"),
        sa.ForeignKeyConstraint(["text"], ["blobs.sha256"], name="dataset_frames_text_fkey"),
        sa.ForeignKeyConstraint(["thumbnail"], ["blobs.sha256"], name="dataset_frames_thumbnail_fkey"),
        sa.ForeignKeyConstraint(
            ["version_id", "task_id"],
            ["dataset_tasks.version_id", "dataset_tasks.task_id"],
            name="dataset_frames_version_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", "task_id", "frame", "augmentation", name="dataset_frames_pkey"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Text(collation="C"), nullable=False),
        sa.Column("upload_id", sa.Text(collation="C"), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("video", sa.Text(collation="C"), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("frame_count", sa.Integer(), nullable=False),
        sa.Column("record", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("audit_status", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("task_status", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("annotation_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("audit_status between 0 and 5", name="tasks_audit_status_check"),
        sa.CheckConstraint("frame_count > 0", name="tasks_frame_count_check"),
        sa.CheckConstraint("status between 0 and 99", name="tasks_status_check"),
        sa.CheckConstraint("task_status between 0 and 2", name="tasks_task_status_check"),
        sa.ForeignKeyConstraint(["content_id"], ["contents.id"], name="tasks_content_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="tasks_project_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name="tasks_upload_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["video"], ["blobs.sha256"], name="tasks_video_fkey"),
        sa.PrimaryKeyConstraint("id", name="tasks_pkey"),
        sa.UniqueConstraint("job_id", "number", name="tasks_job_id_number_key"),
    )
    op.create_index("tasks_by_content", "tasks", ["content_id"], unique=False)
    op.create_index("tasks_by_project", "tasks", ["project_id", "id"], unique=False)
    op.create_index("tasks_by_upload", "tasks", ["upload_id"], unique=False)
    op.create_table(
        "annotation_runs",
        sa.Column("upload_id", sa.Text(collation="C"), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="annotation_runs_task_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name="annotation_runs_upload_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "task_id", name="annotation_runs_pkey"),
    )
    op.create_index("annotation_runs_by_job", "annotation_runs", ["job_id"], unique=False)
    op.create_table(
        "frames",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("image", sa.Text(collation="C"), nullable=True),
        sa.Column("thumbnail", sa.Text(collation="C"), nullable=True),
        sa.Column("source", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("annotated", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint("number > 0", name="frames_number_check"),
        sa.ForeignKeyConstraint(["image"], ["blobs.sha256"], name="frames_image_fkey"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="frames_task_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["thumbnail"], ["blobs.sha256"], name="frames_thumbnail_fkey"),
        sa.PrimaryKeyConstraint("task_id", "number", name="frames_pkey"),
    )
    op.create_table(
        "boxes",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), server_default="0", nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("width", sa.Double(), nullable=False),
        sa.Column("height", sa.Double(), nullable=False),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("human", sa.Boolean(), nullable=False),
        sa.CheckConstraint("human or confidence is not null", name="boxes_confidence_check"),
        sa.CheckConstraint("width > 0 and height > 0", name="boxes_size_check"),
        sa.ForeignKeyConstraint(
            ["task_id", "frame"], ["frames.task_id", "frames.number"], name="boxes_task_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="boxes_pkey"),
    )
    op.create_index("boxes_by_frame", "boxes", ["task_id", "frame"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
