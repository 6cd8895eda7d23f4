"""Tables of messages: events that go out, to whom, and what came in that nobody could process."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.columns import moment, stamped
from infra.tables.schema import metadata

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
