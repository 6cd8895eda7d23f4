"""Tables of content: blobs, the files that name them, and what was erased."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from infra.columns import moment, stamped
from infra.tables.schema import metadata

# Content. A row is the only proof that an object counts; an object without a row is swept. An erased blob keeps its
# row, so that the provenance of finished jobs stays true.
blobs = Table(
    "blobs",
    metadata,
    Column("sha256", Text(collation="C"), primary_key=True),
    Column("sha1", Text(collation="C"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("object_key", Text, unique=True),
    stamped(),
    moment("erased_at"),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    CheckConstraint("sha1 ~ '^[0-9a-f]{40}$'", name="sha1"),
    CheckConstraint("size >= 0", name="size"),
    CheckConstraint("(object_key is null) = (erased_at is not null)", name="erased"),
    Index("blobs_sha1", "sha1"),
)

files = Table(
    "files",
    metadata,
    Column("sha256", Text(collation="C"), ForeignKey("blobs.sha256"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    stamped(),
    Index("files_newest", "created_at", "sha256"),
    Index("files_by_maker", "created_by"),
)

file_names = Table(
    "file_names",
    metadata,
    Column("sha256", Text(collation="C"), ForeignKey("files.sha256", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("content_type", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    stamped(),
)

# The tenants that have uploaded a content, and what each of them calls it.
file_tenants = Table(
    "file_tenants",
    metadata,
    Column("sha256", Text(collation="C"), ForeignKey("files.sha256", ondelete="CASCADE"), primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    stamped(),
)

erasures = Table(
    "erasures",
    metadata,
    Column("object_key", Text, primary_key=True),
    stamped(),
)
