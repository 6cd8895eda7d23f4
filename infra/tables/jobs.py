"""Tables of jobs: what was asked for, what it waits for, how it went, and what came of it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL

from infra.columns import moment, stamped, tenant_column
from infra.tables.schema import metadata

LIVE = "state in ('scheduled', 'queued', 'running')"
ENDED = "state in ('succeeded', 'failed', 'cancelled')"
RUNNING = "state = 'running' and started_at is not null"

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

# Messages that were spent on jobs that did not count as published, while nobody could give up his mark instead.
message_debts = Table(
    "message_debts",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("messages", BigInteger, nullable=False),
    CheckConstraint("messages >= 0", name="messages"),
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
