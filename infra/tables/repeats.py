"""Requests that made something and may come again, described for SQLAlchemy."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text

from infra.columns import stamped
from infra.tables.schema import metadata

# What a request with an Idempotency-Key has made, for all but jobs, which know their keys themselves.
repeats = Table(
    "repeats",
    metadata,
    Column("submitted_by", Text, primary_key=True),
    Column("key", Text(collation="C"), primary_key=True),
    Column("request_sha256", Text, nullable=False),
    # Null within the transaction that makes it, and nowhere else.
    Column("made", Text),
    stamped(),
    CheckConstraint("request_sha256 ~ '^[0-9a-f]{64}$'", name="request_sha256"),
    Index("repeats_age", "created_at"),
)
