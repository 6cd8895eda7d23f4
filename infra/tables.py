"""The schema, described for SQLAlchemy. Migrations make it; a test proves that both say the same."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

LIVE = "state in ('scheduled', 'queued', 'running')"
ENDED = "state in ('succeeded', 'failed', 'cancelled')"


def _moment(name: str, nullable: bool = True) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _created() -> Column[datetime]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


# Content. A row is the only proof that an object counts; an object without a row is swept. An erased blob keeps its
# row, so that the provenance of finished jobs stays true.
blobs = Table(
    "blobs",
    metadata,
    Column("sha256", Text(collation="C"), primary_key=True),
    Column("sha1", Text(collation="C"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("object_key", Text, unique=True),
    _created(),
    _moment("erased_at"),
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
    _created(),
    Index("files_newest", "created_at", "sha256"),
)

file_names = Table(
    "file_names",
    metadata,
    Column("sha256", Text(collation="C"), ForeignKey("files.sha256", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("content_type", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    _created(),
)

erasures = Table(
    "erasures",
    metadata,
    Column("object_key", Text, primary_key=True),
    _created(),
)

claim_tokens = Sequence("claim_tokens", metadata=metadata)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("consumer", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("version", SmallInteger, nullable=False, server_default="1"),
    Column("priority", SmallInteger, nullable=False, server_default="0"),
    Column("unique_key", Text),
    Column("idempotency_key", Text),
    Column("request_sha256", Text),
    Column("submitted_by", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("parent_id", Uuid, ForeignKey("jobs.id")),
    Column("traceparent", Text),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("max_attempts", Integer, nullable=False),
    Column("token", BigInteger),
    _moment("lease_until"),
    Column("worker", Text),
    Column("run_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("progress", REAL, nullable=False, server_default="0"),
    Column("result", JSONB),
    Column("error_code", Text),
    Column("error_message", Text),
    _created(),
    _moment("queued_at"),
    _moment("published_at"),
    _moment("started_at"),
    _moment("cancel_requested_at"),
    _moment("finished_at"),
    CheckConstraint("state in ('scheduled','queued','running','succeeded','failed','cancelled')", name="state"),
    CheckConstraint("via in ('http', 'amqp', 'job')", name="via"),
    CheckConstraint("(state = 'running') = (token is not null)", name="token"),
    CheckConstraint("(token is null) = (lease_until is null)", name="lease"),
    CheckConstraint(f"({ENDED}) = (finished_at is not null)", name="finished"),
    CheckConstraint("state <> 'failed' or error_code is not null", name="error"),
    CheckConstraint("state <> 'succeeded' or result is not null", name="result"),
    CheckConstraint("state <> 'queued' or queued_at is not null", name="queued"),
    CheckConstraint("progress between 0 and 100", name="progress"),
    CheckConstraint("attempt between 0 and max_attempts", name="attempt"),
    Index(
        "jobs_live_key", "kind", "unique_key", unique=True, postgresql_where=text(f"unique_key is not null and {LIVE}")
    ),
    Index(
        "jobs_idempotency",
        "submitted_by",
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key is not null"),
    ),
    Index(
        "jobs_unpublished", "consumer", "queued_at", postgresql_where=text("state = 'queued' and published_at is null")
    ),
    Index("jobs_waiting", "consumer", "published_at", postgresql_where=text("state = 'queued'")),
    Index("jobs_due", "run_at", postgresql_where=text("state = 'scheduled'")),
    Index("jobs_leased", "lease_until", postgresql_where=text("state = 'running'")),
    Index("jobs_by_state", "state", "id"),
    Index("jobs_by_kind", "kind", "id"),
    Index("jobs_by_parent", "parent_id", postgresql_where=text("parent_id is not null")),
)

# The legal moves, seeded by the migration from schemas.states.MOVES; a trigger refuses the others.
job_moves = Table(
    "job_moves",
    metadata,
    Column("before", Text, primary_key=True),
    Column("after", Text, primary_key=True),
)

job_inputs = Table(
    "job_inputs",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("param", Text, nullable=False),
    Column("sha256", Text(collation="C"), ForeignKey("blobs.sha256"), nullable=False),
    Index("job_inputs_by_blob", "sha256"),
)

job_steps = Table(
    "job_steps",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("record", JSONB, nullable=False),
    _created(),
    UniqueConstraint("job_id", "ordinal"),
)

# Shown only while their job has succeeded: a half-finished job lists nothing.
job_outputs = Table(
    "job_outputs",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text(collation="C"), primary_key=True),
    Column("step", Text),
    Column("sha256", Text(collation="C"), ForeignKey("blobs.sha256"), nullable=False),
    Column("content_type", Text, nullable=False),
    Index("job_outputs_by_blob", "sha256"),
)

# Jobs that ended without success, and whose steps and outputs the relay lets go of, batch by batch. A job with outputs
# that belong to no step has a row here.
discards = Table(
    "discards",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    _created(),
)

# Facts, written by the trigger in the transaction of the move. `seq` is given by the relay as it publishes: gap-free.
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("seq", BigInteger, unique=True),
    Column("type", Text, nullable=False),
    Column("job_id", Uuid),
    Column("data", JSONB, nullable=False),
    Column("traceparent", Text),
    Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("published", Boolean, nullable=False, server_default="false"),
    Index("events_unnumbered", "id", postgresql_where=text("seq is null")),
    Index("events_unpublished", "seq", postgresql_where=text("seq is not null and not published")),
    Index("events_by_job", "job_id", "id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("roles", ARRAY(Text), nullable=False),
    Column("secret_sha256", Text, nullable=False, unique=True),
    _created(),
    _moment("expires_at"),
    _moment("revoked_at"),
    CheckConstraint("roles <@ array['admin','producer','worker','reader'] and cardinality(roles) > 0", name="roles"),
)
