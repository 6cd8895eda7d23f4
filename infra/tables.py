"""The schema, described for SQLAlchemy. Migrations make it; a test proves that both say the same."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
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

from infra.columns import moment, stamped, tenant_column

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
RUNNING = "state = 'running' and started_at is not null"


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
    moment("lease_until"),
    Column("worker", Text),
    stamped("run_at"),
    Column("progress", REAL, nullable=False, server_default="0"),
    Column("result", JSONB),
    Column("error_code", Text),
    Column("error_message", Text),
    stamped(),
    moment("queued_at"),
    moment("published_at"),
    moment("started_at"),
    moment("cancel_requested_at"),
    moment("finished_at"),
    Column("lane", Text, nullable=False, server_default="leased"),
    # Why a queued job has no message: it gets one when the reason is gone.
    Column("held", Text),
    Column("concurrency_key", Text),
    # Until the jobs that it needs have ended; what then, if one of them did not succeed, is `after_failure`.
    Column("waiting", Boolean, nullable=False, server_default="false"),
    Column("after_failure", Text, nullable=False, server_default="cancel"),
    tenant_column(),
    CheckConstraint("state in ('scheduled','queued','running','succeeded','failed','cancelled')", name="state"),
    CheckConstraint("via in ('http', 'amqp', 'job', 'schedule')", name="via"),
    CheckConstraint("(state = 'running') = (token is not null)", name="token"),
    CheckConstraint("(token is null) = (lease_until is null)", name="lease"),
    CheckConstraint(f"({ENDED}) = (finished_at is not null)", name="finished"),
    CheckConstraint("state <> 'failed' or error_code is not null", name="error"),
    CheckConstraint("state <> 'succeeded' or result is not null", name="result"),
    CheckConstraint("state <> 'queued' or queued_at is not null", name="queued"),
    CheckConstraint("progress between 0 and 100", name="progress"),
    CheckConstraint("attempt between 0 and max_attempts", name="attempt"),
    CheckConstraint("lane in ('leased', 'fast')", name="lane"),
    CheckConstraint(
        "held is null or (state = 'queued' and held in ('paused', 'concurrency', 'rate'))",
        name="held",
    ),
    CheckConstraint("not waiting or state = 'scheduled'", name="waiting"),
    CheckConstraint("after_failure in ('cancel', 'run')", name="after_failure"),
    Index(
        "jobs_live_key",
        "kind",
        "unique_key",
        "tenant",
        unique=True,
        postgresql_where=text(f"unique_key is not null and {LIVE}"),
    ),
    Index(
        "jobs_idempotency",
        "submitted_by",
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key is not null"),
    ),
    Index(
        "jobs_unpublished",
        "consumer",
        "queued_at",
        postgresql_where=text("state = 'queued' and published_at is null and held is null"),
    ),
    # Whoever has a free slot takes the first of these, whatever message woke it up.
    Index(
        "jobs_next",
        "consumer",
        text("priority desc"),
        "queued_at",
        "id",
        postgresql_where=text("state = 'queued' and held is null and lane = 'leased'"),
    ),
    # How many of a kind, or with a key, could start: what is let in beside them would only be held again.
    Index(
        "jobs_ready",
        "kind",
        "concurrency_key",
        postgresql_where=text("state = 'queued' and held is null and lane = 'leased'"),
    ),
    Index(
        "jobs_held",
        "kind",
        "held",
        text("priority desc"),
        "queued_at",
        "id",
        postgresql_where=text("held is not null"),
    ),
    Index(
        "jobs_held_by_key",
        "kind",
        "concurrency_key",
        text("priority desc"),
        "queued_at",
        "id",
        postgresql_where=text("held = 'concurrency' and concurrency_key is not null"),
    ),
    # The planner, whose statistics may know of no live job, takes any of these for the cheapest way to any job, and
    # reads a whole backlog for it. So each says more than queries for one job do, and queries for its jobs say as much.
    Index("jobs_running", "kind", "concurrency_key", postgresql_where=text(RUNNING)),
    Index("jobs_finished", "finished_at", postgresql_where=text("finished_at is not null")),
    Index("jobs_of_submitter", "submitted_by", postgresql_where=text("finished_at is null")),
    Index(
        "jobs_waiting",
        "consumer",
        "published_at",
        postgresql_where=text("state = 'queued' and held is null and published_at is not null"),
    ),
    Index("jobs_due", "run_at", postgresql_where=text("state = 'scheduled' and not waiting")),
    Index("jobs_leased", "lease_until", postgresql_where=text("lease_until is not null")),
    Index("jobs_by_state", "state", "id"),
    Index("jobs_by_kind", "kind", "id"),
    Index("jobs_of_tenant", "tenant", "id", postgresql_where=text("tenant <> ''")),
    Index("jobs_by_parent", "parent_id", postgresql_where=text("parent_id is not null")),
)

# The legal moves, seeded by the migration from schemas.states.MOVES; a trigger refuses the others.
job_moves = Table(
    "job_moves",
    metadata,
    Column("before", Text, primary_key=True),
    Column("after", Text, primary_key=True),
    Column("fast_only", Boolean, nullable=False, server_default="false"),
)

# What a job waits for. A trigger notes how each of them ended first; `noted` is what the relay has seen of that.
job_dependencies = Table(
    "job_dependencies",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("needs_id", Uuid, primary_key=True),
    Column("outcome", Text),
    Column("noted", Boolean, nullable=False, server_default="false"),
    CheckConstraint("job_id <> needs_id", name="self"),
    CheckConstraint(f"outcome in {ENDED.removeprefix('state in ')}", name="outcome"),
    Index("job_dependencies_by_need", "needs_id"),
    Index("job_dependencies_news", "job_id", postgresql_where=text("outcome is not null and not noted")),
    Index("job_dependencies_unmet", "job_id", postgresql_where=text("outcome is null")),
)

# What an operator has said about a kind; what he has not said is the registry's.
kind_controls = Table(
    "kind_controls",
    metadata,
    Column("kind", Text, primary_key=True),
    moment("paused_at"),
    Column("concurrency", Integer),
    Column("per_key", Integer),
    Column("starts_per_second", Double),
    # The bucket of the rate limit: starts that were left at `counted_at`.
    Column("starts_left", Double),
    moment("counted_at"),
    Column("changed_by", Text),
    stamped("changed_at"),
    CheckConstraint("concurrency > 0", name="concurrency"),
    CheckConstraint("per_key > 0", name="per_key"),
    CheckConstraint("starts_per_second > 0", name="starts_per_second"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("cron", Text, nullable=False),
    tenant_column(),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("kind", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default="0"),
    Column("overlap", Boolean, nullable=False, server_default="false"),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    moment("next_at", nullable=False),
    moment("last_at"),
    Column("last_job_id", Uuid),
    # When it was left out because the job before it still lived, and why its last turn made none.
    moment("skipped_at"),
    Column("error", Text),
    Column("created_by", Text, nullable=False),
    stamped(),
    Index("schedules_due", "next_at", postgresql_where=text("enabled")),
)

# The leader's last count of what waits, so that the front door need not count.
backlogs = Table(
    "backlogs",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("queued", BigInteger, nullable=False),
    Column("running", BigInteger, nullable=False),
    stamped("counted_at"),
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
    stamped(),
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
    stamped(),
)

# Facts, written by the trigger in the transaction of the move. `seq` is given by the relay as it publishes: gap-free.
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("seq", BigInteger),
    Column("type", Text, nullable=False),
    Column("job_id", Uuid),
    Column("data", JSONB, nullable=False),
    Column("traceparent", Text),
    Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    # Partial: the planner must not find the unnumbered ones here, among all that have a number by now.
    Index("events_seq", "seq", unique=True, postgresql_where=text("seq is not null")),
    Index("events_unnumbered", "id", postgresql_where=text("seq is null")),
    Index("events_by_job", "job_id", "id"),
)

# How far the events have gone out, and how far retention has taken them away (a trigger notes that).
event_marks = Table(
    "event_marks",
    metadata,
    Column("reader", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

# Messages that nobody could process, with the reason; kept as they came, so that they can be sent again.
parked = Table(
    "parked",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("queue", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("message_id", Text),
    # Whose job it woke, when that job failed because nobody could take the message.
    Column("job_id", Uuid),
    # The beginning of the body, and the bytes of all of it.
    Column("body", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("properties", JSONB, nullable=False),
    Column("headers", JSONB, nullable=False),
    # What tells this message from an equal one, where something does: then it is recorded once.
    Column("identity", Text, unique=True),
    stamped("parked_at"),
    Column("resolution", Text),
    moment("resolved_at"),
    Column("resolved_by", Text),
    CheckConstraint("resolution in ('replayed', 'discarded')", name="resolution"),
    CheckConstraint("(resolution is null) = (resolved_at is null)", name="resolved"),
    Index("parked_open", "id", postgresql_where=text("resolution is null")),
    Index("parked_by_fingerprint", "fingerprint", "id", postgresql_where=text("resolution is null")),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    # After a rotation the old secret signs, too, for a while.
    Column("previous_secret", Text),
    moment("previous_until"),
    Column("types", ARRAY(Text), nullable=False),
    Column("seen_seq", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    stamped(),
    moment("failing_since"),
    moment("disabled_at"),
    Column("disabled_reason", Text),
    CheckConstraint("(previous_secret is null) = (previous_until is null)", name="previous"),
    CheckConstraint("(disabled_at is null) = (disabled_reason is null)", name="disabled"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("webhook_id", Uuid, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    stamped("next_at"),
    Column("status", SmallInteger),
    Column("error", Text),
    moment("finished_at"),
    CheckConstraint("state in ('pending', 'delivered', 'failed')", name="state"),
    Index("webhook_deliveries_due", "webhook_id", "next_at", postgresql_where=text("state = 'pending'")),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("roles", ARRAY(Text), nullable=False),
    Column("secret_sha256", Text, nullable=False, unique=True),
    # What a person may send in place of the secret, as a salted hash: `scrypt$cost$block$lanes$salt$hash`.
    Column("password", Text),
    stamped(),
    moment("expires_at"),
    moment("revoked_at"),
    Column("live_jobs", Integer),
    Column("storage_bytes", BigInteger),
    tenant_column(),
    CheckConstraint("live_jobs > 0", name="live_jobs"),
    CheckConstraint("storage_bytes > 0", name="storage_bytes"),
    # Who acts for a tenant is no admin: admins see everything.
    CheckConstraint(
        "tenant = '' or (tenant ~ '^[a-z0-9][a-z0-9_-]{0,62}$' and not 'admin' = any(roles))", name="tenant"
    ),
    CheckConstraint("roles <@ array['admin','producer','worker','reader'] and cardinality(roles) > 0", name="roles"),
)
