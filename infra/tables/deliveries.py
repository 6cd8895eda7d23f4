"""The tables of what was delivered: manifests, deliveries, the shared cache, and what other deployments hear of."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.columns import moment, stamped
from infra.tables.schema import metadata

# Which files a content at a host is made of: `[[path, size, sha256 or null], ...]`, by path. `location` is where
# content lies that has matched it; it goes when the files change.
manifests = Table(
    "manifests",
    metadata,
    Column("host", Text(collation="C"), primary_key=True),
    Column("external_id", Text(collation="C"), primary_key=True),
    Column("directory", Text(collation="C"), nullable=False),
    Column("files", JSONB, nullable=False),
    Column("file_count", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("list_sha256", Text(collation="C"), nullable=False),
    Column("location", Text),
    Column("updated_by", Text, nullable=False),
    stamped("updated_at"),
    CheckConstraint("file_count > 0 and size >= 0", name="counted"),
    CheckConstraint("list_sha256 ~ '^[0-9a-f]{64}$'", name="list_sha256"),
    Index("manifests_by_directory", "directory", "host", "external_id"),
    Index("manifests_by_list", "list_sha256"),
    Index("manifests_by_location", "location", postgresql_where=text("location is not null")),
)

# Content that somebody says is there. Of one under a prefix the objects are listed when it is checked; of one that is
# uploaded for a task, object n of `deliveries/<id>/` is file n of `files`.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("source", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("directory", Text, nullable=False),
    Column("files", JSONB),
    Column("extra", Text, nullable=False),
    # The task that it was uploaded for, and the list of its manifest as it was then.
    Column("host", Text(collation="C")),
    Column("external_id", Text(collation="C")),
    Column("list_sha256", Text(collation="C")),
    Column("job_id", Uuid),
    Column("outcome", Text),
    Column("compared", JSONB, nullable=False, server_default="[]"),
    Column("created_by", Text, nullable=False),
    stamped(),
    moment("expires_at"),
    moment("checked_at"),
    CheckConstraint("source in ('prefix', 'listed', 'upload')", name="source"),
    CheckConstraint("(files is null) = (source = 'prefix')", name="files"),
    CheckConstraint("extra in ('ignore', 'refuse')", name="extra"),
    CheckConstraint(
        "(source = 'upload') = (host is not null) and (host is null) = (external_id is null) "
        "and (host is null) = (list_sha256 is null) and (host is null) = (expires_at is null)",
        name="upload",
    ),
    CheckConstraint("outcome in ('matched', 'partial', 'mismatch', 'unknown', 'ambiguous')", name="outcome"),
    CheckConstraint("(outcome is null) = (checked_at is null)", name="checked"),
    CheckConstraint("source = 'upload' or job_id is not null", name="job"),
    Index("deliveries_newest", "created_at", "id"),
    Index("deliveries_open", "expires_at", postgresql_where=text("source = 'upload' and outcome is null")),
)

cached_values = Table(
    "cached_values",
    metadata,
    Column("space", Text(collation="C"), primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("updated_by", Text, nullable=False),
    stamped("updated_at"),
    moment("expires_at", nullable=False),
    Index("cached_values_expiry", "expires_at"),
)

# One row for each thing that deployments share, written by triggers in the transaction that changes the thing. Its
# number says how far a reader must have read to know the latest of it. The next number is given by whoever reads, to
# what is committed, one reader at a time: so nothing that commits late hides below a number that was read already.
replicas = Table(
    "replicas",
    metadata,
    Column("kind", Text(collation="C"), primary_key=True),
    Column("space", Text(collation="C"), primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("seq", BigInteger),
    CheckConstraint("kind in ('cache', 'link', 'manifest', 'task')", name="kind"),
    CheckConstraint("revision > 0", name="revision"),
    Index("replicas_seq", "seq", unique=True, postgresql_where=text("seq is not null")),
    Index("replicas_unnumbered", "kind", "space", "key", postgresql_where=text("seq is null")),
)
replica_numbers = Sequence("replica_numbers", metadata=metadata)

# How far what a peer has to tell was applied here.
replica_marks = Table(
    "replica_marks",
    metadata,
    Column("peer", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    stamped("updated_at"),
)
