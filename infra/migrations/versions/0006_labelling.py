"""Annotation projects: datapoints, labels, votes, times and classifiers."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _projects()
    _datapoints()
    _classifiers()


def _projects() -> None:
    op.create_table(
        "labelling_projects",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("features", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("min_votes", sa.Integer(), server_default="1", nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("dimension = cardinality(features)", name=op.f("labelling_projects_features_check")),
        sa.CheckConstraint("min_votes > 0", name=op.f("labelling_projects_min_votes_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("labelling_projects_pkey")),
        sa.UniqueConstraint("name", "dimension", name=op.f("labelling_projects_name_dimension_key")),
    )
    op.create_table(
        "labelling_labels",
        sa.Column("project", sa.Text(collation="C"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.CheckConstraint("length(label) between 1 and 50", name=op.f("labelling_labels_label_check")),
        sa.ForeignKeyConstraint(
            ["project"], ["labelling_projects.name"], name=op.f("labelling_labels_project_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project", "label", name=op.f("labelling_labels_pkey")),
    )
    op.create_table(
        "labelling_members",
        sa.Column("project", sa.Text(collation="C"), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["labelling_projects.name"], name=op.f("labelling_members_project_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project", "member", name=op.f("labelling_members_pkey")),
    )


def _datapoints() -> None:
    op.create_table(
        "datapoints",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(collation="C"), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("vector", sa.ARRAY(sa.Double()), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("votes", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "(dimension = 0) = (text is not null) and (dimension = 0) = (vector is null)",
            name=op.f("datapoints_content_check"),
        ),
        sa.CheckConstraint(
            "vector is null or (array_ndims(vector) = 1 and array_lower(vector, 1) = 1 "
            "and cardinality(vector) = dimension and array_position(vector, null) is null)",
            name=op.f("datapoints_vector_check"),
        ),
        sa.CheckConstraint("votes >= 0", name=op.f("datapoints_votes_check")),
        sa.ForeignKeyConstraint(
            ["project", "dimension"],
            ["labelling_projects.name", "labelling_projects.dimension"],
            name=op.f("datapoints_project_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project", "label"],
            ["labelling_labels.project", "labelling_labels.label"],
            name=op.f("datapoints_label_fkey"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("datapoints_pkey")),
        sa.UniqueConstraint("project", "id", name=op.f("datapoints_project_id_key")),
        sa.UniqueConstraint("project", "key", name=op.f("datapoints_project_key_key")),
    )
    op.create_index(
        "datapoints_labelled",
        "datapoints",
        ["project", "id"],
        unique=False,
        postgresql_where=sa.text("label is not null"),
    )
    op.create_index(
        "datapoints_unlabelled",
        "datapoints",
        ["project", "id"],
        unique=False,
        postgresql_where=sa.text("label is null"),
    )
    op.create_table(
        "sample_timestamps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(collation="C"), nullable=False),
        sa.Column("datapoint_id", sa.BigInteger(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("end_time >= start_time", name=op.f("sample_timestamps_end_time_check")),
        sa.ForeignKeyConstraint(
            ["project", "datapoint_id"],
            ["datapoints.project", "datapoints.id"],
            name=op.f("sample_timestamps_project_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("sample_timestamps_pkey")),
    )
    op.create_index("sample_timestamps_of_project", "sample_timestamps", ["project", "id"], unique=False)
    op.create_table(
        "votes",
        sa.Column("datapoint_id", sa.BigInteger(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(collation="C"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "datapoint_id"],
            ["datapoints.project", "datapoints.id"],
            name=op.f("votes_project_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project", "label"], ["labelling_labels.project", "labelling_labels.label"], name=op.f("votes_label_fkey")
        ),
        sa.PrimaryKeyConstraint("datapoint_id", "annotator", name=op.f("votes_pkey")),
    )


def _classifiers() -> None:
    op.create_table(
        "classifiers",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("project", sa.Text(collation="C"), nullable=False),
        sa.Column("parameters", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("vectorizer", sa.Boolean(), nullable=False),
        sa.Column("precision", sa.Double(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("classifiers_sha256_check")),
        sa.CheckConstraint("precision between 0 and 1", name=op.f("classifiers_precision_check")),
        sa.ForeignKeyConstraint(
            ["project"], ["labelling_projects.name"], name=op.f("classifiers_project_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("classifiers_pkey")),
        sa.UniqueConstraint("job_id", name=op.f("classifiers_job_id_key")),
    )
    op.create_index("classifiers_of_project", "classifiers", ["project", "id"], unique=False)
    op.create_index(
        "jobs_of_classifier",
        "jobs",
        [sa.literal_column("(params ->> 'classifier')"), "id"],
        unique=False,
        postgresql_where=sa.text("kind = 'export.labels'"),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
