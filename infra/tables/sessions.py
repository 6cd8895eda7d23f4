"""What people bring with them, described for SQLAlchemy: sessions of the console, and uploads under way."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    Uuid,
)

from infra.columns import moment, stamped, tenant_column
from infra.tables.schema import metadata

# A browser that signed in with a token. It is as good as that token, and ends with it: both are known by hash only.
sessions = Table(
    "sessions",
    metadata,
    Column("id_sha256", Text(collation="C"), primary_key=True),
    Column("secret_sha256", Text, nullable=False),
    stamped(),
    moment("expires_at", nullable=False),
    CheckConstraint("id_sha256 ~ '^[0-9a-f]{64}$'", name="id_sha256"),
    Index("sessions_expiry", "expires_at"),
)

# A file that comes in pieces. `received` only grows, by the piece that begins where it stands.
resumable_uploads = Table(
    "resumable_uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    tenant_column(),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False, server_default="0"),
    Column("sha256", Text(collation="C")),
    stamped(),
    moment("expires_at", nullable=False),
    CheckConstraint("received between 0 and size", name="received"),
    CheckConstraint("(sha256 is not null) = (received = size)", name="complete"),
    Index("resumable_uploads_expiry", "expires_at"),
)

upload_pieces = Table(
    "upload_pieces",
    metadata,
    Column("upload_id", Uuid, ForeignKey("resumable_uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("object_key", Text, nullable=False, unique=True),
    CheckConstraint("size > 0", name="size"),
)
