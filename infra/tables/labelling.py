"""The schema of annotation projects: datapoints, labels, votes, times, classifiers. Shares the metadata of the rest."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from infra.columns import moment, stamped, tenant_column
from infra.tables.jobs import jobs
from infra.tables.schema import metadata

NOW = func.now()

labelling_projects = Table(
    "labelling_projects",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    # How many numbers a datapoint has; 0 when it is a text.
    Column("dimension", Integer, nullable=False),
    Column("features", ARRAY(Text), nullable=False),
    Column("min_votes", Integer, nullable=False, server_default="1"),
    # What the pseudonyms of its annotators are made with.
    Column("salt", LargeBinary, nullable=False),
    Column("created_by", Text, nullable=False),
    tenant_column(),
    stamped(),
    UniqueConstraint("name", "dimension"),
    CheckConstraint("dimension = cardinality(features)", name="features"),
    CheckConstraint("min_votes > 0", name="min_votes"),
)

labelling_members = Table(
    "labelling_members",
    metadata,
    Column("project", Text(collation="C"), ForeignKey("labelling_projects.name", ondelete="CASCADE"), primary_key=True),
    Column("member", Text, primary_key=True),
)

labelling_labels = Table(
    "labelling_labels",
    metadata,
    Column("project", Text(collation="C"), ForeignKey("labelling_projects.name", ondelete="CASCADE"), primary_key=True),
    Column("label", Text, primary_key=True),
    CheckConstraint("length(label) between 1 and 50", name="label"),
)

# `votes` counts the votes, and `label` is their majority once there are enough: both are kept by whoever votes.
datapoints = Table(
    "datapoints",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project", Text(collation="C"), nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("text", Text),
    Column("vector", ARRAY(Double)),
    Column("label", Text),
    Column("votes", Integer, nullable=False, server_default="0"),
    ForeignKeyConstraint(
        ["project", "dimension"], ["labelling_projects.name", "labelling_projects.dimension"], ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["project", "label"], ["labelling_labels.project", "labelling_labels.label"], name="datapoints_label_fkey"
    ),
    UniqueConstraint("project", "key"),
    UniqueConstraint("project", "id"),
    CheckConstraint("(dimension = 0) = (text is not null) and (dimension = 0) = (vector is null)", name="content"),
    # Exporters read vectors as records of one length.
    CheckConstraint(
        "vector is null or (array_ndims(vector) = 1 and array_lower(vector, 1) = 1 "
        "and cardinality(vector) = dimension and array_position(vector, null) is null)",
        name="vector",
    ),
    CheckConstraint("votes >= 0", name="votes"),
    Index("datapoints_unlabelled", "project", "id", postgresql_where=text("label is null")),
    Index("datapoints_labelled", "project", "id", postgresql_where=text("label is not null")),
    # There are few of them among many, and exports and the share of what is labelled look for them.
    Index("datapoints_pending", "project", "id", postgresql_where=text("label is null and votes > 0")),
)

votes = Table(
    "votes",
    metadata,
    Column("datapoint_id", BigInteger, primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("project", Text(collation="C"), nullable=False),
    Column("label", Text, nullable=False),
    stamped(),
    ForeignKeyConstraint(["project", "datapoint_id"], ["datapoints.project", "datapoints.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["project", "label"], ["labelling_labels.project", "labelling_labels.label"], name="votes_label_fkey"
    ),
)

sample_timestamps = Table(
    "sample_timestamps",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("project", Text(collation="C"), nullable=False),
    Column("datapoint_id", BigInteger, nullable=False),
    Column("annotator", Text, nullable=False),
    moment("start_time", nullable=False),
    moment("end_time"),
    ForeignKeyConstraint(["project", "datapoint_id"], ["datapoints.project", "datapoints.id"], ondelete="CASCADE"),
    CheckConstraint("end_time >= start_time", name="end_time"),
    Index("sample_timestamps_of_project", "project", "id"),
)

# Parameters in the safe form of schemas.linear, and their hash; the vectorizer is part of them. Never a pickle.
classifiers = Table(
    "classifiers",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("project", Text(collation="C"), ForeignKey("labelling_projects.name", ondelete="CASCADE"), nullable=False),
    Column("parameters", LargeBinary, nullable=False),
    Column("sha256", Text(collation="C"), nullable=False),
    Column("vectorizer", Boolean, nullable=False),
    Column("precision", Double),
    # The job that trained it makes one, however often it is tried.
    Column("job_id", Uuid, unique=True),
    Column("created_by", Text, nullable=False),
    stamped(),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    CheckConstraint("precision between 0 and 1", name="precision"),
    Index("classifiers_of_project", "project", "id"),
)

# An export is a job; this finds those of a classifier, newest first.
Index(
    "jobs_of_classifier",
    text("(params ->> 'classifier')"),
    jobs.c.id,
    postgresql_where=text("kind = 'export.labels'"),
)
