"""The schema of projects, uploads, tasks and datasets, beside that of the jobs that make them.

What is under way is the jobs' business: an upload, and a task of a dataset, only name their job.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.columns import moment, stamped, tenant_column
from infra.tables.schema import metadata

ID = "id ~ '^([0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$'"


# Who else needs a content, beside uploads and outputs of jobs: `task:<id>`, `dataset:<id>`, `detector:<name>`.
blob_keepers = Table(
    "blob_keepers",
    metadata,
    Column("keeper", Text(collation="C"), primary_key=True),
    Column("sha256", Text(collation="C"), ForeignKey("blobs.sha256"), primary_key=True),
    Index("blob_keepers_by_blob", "sha256"),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    tenant_column(),
    stamped(),
    CheckConstraint(ID, name="id"),
)

# What a project has tasks of: one video, or one set of images, whatever its name. The row is locked by whoever decides
# about it; `served` is the upload whose tasks count.
contents = Table(
    "contents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Text(collation="C"), ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("identity", Text, nullable=False),
    stamped(),
    UniqueConstraint("project_id", "identity"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),
    Column("project_id", Text(collation="C"), ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("content_id", Uuid, ForeignKey("contents.id", ondelete="CASCADE")),
    # The job that cuts it; none when it only annotates what another upload has cut.
    Column("job_id", Uuid),
    Column("request_type", SmallInteger, nullable=False, server_default="0"),
    Column("annotation_version", Integer, nullable=False, server_default="0"),
    Column("frames_per_task", Integer),
    Column("detector", JSONB),
    Column("force", Boolean, nullable=False, server_default="false"),
    Column("confirmed", Boolean, nullable=False, server_default="false"),
    Column("served", Boolean, nullable=False, server_default="false"),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("created_by", Text, nullable=False),
    stamped(),
    moment("cut_at"),
    CheckConstraint(ID, name="id"),
    CheckConstraint("request_type between 0 and 2", name="request_type"),
    CheckConstraint("(request_type = 0) = (annotation_version = 0)", name="annotation_version"),
    Index("uploads_served", "content_id", unique=True, postgresql_where=text("served")),
    Index("uploads_by_project", "project_id", "created_at", "id"),
    Index("uploads_by_content", "content_id"),
    Index("uploads_by_job", "job_id", unique=True, postgresql_where=text("job_id is not null")),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("project_id", Text(collation="C"), ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("upload_id", Text(collation="C"), ForeignKey("uploads.id", ondelete="CASCADE"), nullable=False),
    Column("content_id", Uuid, ForeignKey("contents.id", ondelete="CASCADE"), nullable=False),
    # The job that has cut it: its generation.
    Column("job_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("video", Text(collation="C"), ForeignKey("blobs.sha256"), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frame_count", Integer, nullable=False),
    # As the splitter wrote it: where the frames come from, in the words of annotation clients.
    Column("record", JSONB, nullable=False),
    Column("status", SmallInteger, nullable=False, server_default="0"),
    Column("audit_status", SmallInteger, nullable=False, server_default="0"),
    Column("task_status", SmallInteger, nullable=False, server_default="0"),
    Column("annotation_version", Integer, nullable=False, server_default="0"),
    Column("assigned_to", Text),
    stamped(),
    UniqueConstraint("job_id", "number"),
    CheckConstraint("status between 0 and 99", name="status"),
    CheckConstraint("audit_status between 0 and 5", name="audit_status"),
    CheckConstraint("task_status between 0 and 2", name="task_status"),
    CheckConstraint("frame_count > 0", name="frame_count"),
    Index("tasks_by_project", "project_id", "id"),
    Index("tasks_by_content", "content_id"),
    Index("tasks_by_upload", "upload_id"),
)

frames = Table(
    "frames",
    metadata,
    Column("task_id", Uuid, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("image", Text(collation="C"), ForeignKey("blobs.sha256")),
    Column("thumbnail", Text(collation="C"), ForeignKey("blobs.sha256")),
    Column("source", JSONB, nullable=False),
    # A person has said what is on it; no detector changes that.
    Column("annotated", Boolean, nullable=False, server_default="false"),
    CheckConstraint("number > 0", name="number"),
)

boxes = Table(
    "boxes",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("task_id", Uuid, nullable=False),
    Column("frame", Integer, nullable=False),
    Column("place", Integer, nullable=False, server_default="0"),
    Column("label", Text, nullable=False),
    Column("x", Double, nullable=False),
    Column("y", Double, nullable=False),
    Column("width", Double, nullable=False),
    Column("height", Double, nullable=False),
    Column("attributes", JSONB, nullable=False, server_default="{}"),
    Column("confidence", Double),
    Column("human", Boolean, nullable=False),
    ForeignKeyConstraint(["task_id", "frame"], ["frames.task_id", "frames.number"], ondelete="CASCADE"),
    CheckConstraint("width > 0 and height > 0", name="size"),
    CheckConstraint("human or confidence is not null", name="confidence"),
    Index("boxes_by_frame", "task_id", "frame"),
)

# Which jobs annotate for an upload.
annotation_runs = Table(
    "annotation_runs",
    metadata,
    Column("upload_id", Text(collation="C"), ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", Uuid, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("job_id", Uuid, nullable=False),
    moment("done_at"),
    Index("annotation_runs_by_job", "job_id"),
)

detectors = Table(
    "detectors",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("model", Text(collation="C"), ForeignKey("blobs.sha256"), nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    tenant_column(),
    stamped(),
)

dataset_groups = Table(
    "dataset_groups",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    tenant_column(),
    stamped(),
)

# A version never changes what it shows, but for which split a task is in. 1.2.3 is number 123.
dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("group_name", Text(collation="C"), ForeignKey("dataset_groups.name", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("classes", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    stamped(),
    UniqueConstraint("group_name", "number"),
)

dataset_tasks = Table(
    "dataset_tasks",
    metadata,
    Column("version_id", Uuid, ForeignKey("dataset_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_id", Uuid, nullable=False),
    Column("split", Text, nullable=False),
    Column("job_id", Uuid),
    moment("built_at"),
    # Boxes that no label asks for.
    Column("unmatched", Integer, nullable=False, server_default="0"),
    CheckConstraint("split in ('training', 'validation', 'testing')", name="split"),
    Index("dataset_tasks_by_job", "job_id"),
    Index("dataset_tasks_by_task", "task_id"),
)

# Pictures of a version: frames as they were when it was made, and what augmentation made of them.
dataset_frames = Table(
    "dataset_frames",
    metadata,
    Column("version_id", Uuid, primary_key=True),
    Column("task_id", Uuid, primary_key=True),
    Column("frame", Integer, primary_key=True),
    Column("augmentation", Text(collation="C"), primary_key=True, server_default=""),
    Column("image", Text(collation="C"), ForeignKey("blobs.sha256"), nullable=False),
    Column("thumbnail", Text(collation="C"), ForeignKey("blobs.sha256")),
    Column("text", Text(collation="C"), ForeignKey("blobs.sha256")),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("boxes", JSONB, nullable=False),
    # Made by the build: class, and a box in pixels within the picture.
    Column("objects", JSONB),
    ForeignKeyConstraint(
        ["version_id", "task_id"], ["dataset_tasks.version_id", "dataset_tasks.task_id"], ondelete="CASCADE"
    ),
)

dataset_archives = Table(
    "dataset_archives",
    metadata,
    Column("version_id", Uuid, ForeignKey("dataset_versions.id", ondelete="CASCADE"), primary_key=True),
    Column("format", Text, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("sha256", Text(collation="C"), ForeignKey("blobs.sha256")),
    stamped(),
    Index("dataset_archives_by_job", "job_id"),
)
