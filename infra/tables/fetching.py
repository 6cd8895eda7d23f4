"""The tables of what is to be fetched: tasks at hosts, which items asked for them, and the short ids of old clients.

A task is one thing at one host, however many items want it. What it was before is kept: the audit trail of its leases.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from infra.columns import moment, stamped
from infra.tables.items import item_states
from infra.tables.schema import metadata

OPEN = "state = 'open'"
LEASED = "state = 'leased'"


def _facts() -> list[Column[object]]:
    """What changes about a task, and who changed it."""
    return [
        Column("state", Text, nullable=False, server_default="open"),
        # The latest lease: whose token, what he calls the worker, and how often the task was handed out.
        Column("lease_id", Uuid),
        Column("owner", Text),
        Column("worker", Text),
        Column("attempt", Integer, nullable=False, server_default="0"),
        moment("leased_at"),
        moment("expires_at"),
        # Where the content lies, once it is there; why it cannot be had.
        Column("location", Text),
        Column("reason", Text),
        Column("updated_by", Text, nullable=False),
        stamped("updated_at"),
        Column("revision", BigInteger, nullable=False, server_default="1"),
    ]


# A trigger counts the revisions and keeps the time; who applies a change from elsewhere names its revision himself.
fetch_tasks = Table(
    "fetch_tasks",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("host", Text(collation="C"), nullable=False),
    Column("external_id", Text(collation="C"), nullable=False),
    *_facts(),
    Column("ttl_seconds", Double),
    Column("created_by", Text, nullable=False),
    stamped(),
    UniqueConstraint("host", "external_id"),
    CheckConstraint("octet_length(host) between 1 and 300 and host = lower(host) and host !~ '[\\s/]'", name="host"),
    CheckConstraint("octet_length(external_id) between 1 and 1024", name="external_id"),
    CheckConstraint("state in ('open', 'leased', 'filled', 'unavailable')", name="state"),
    CheckConstraint(
        f"not ({LEASED}) or (lease_id is not null and owner is not null and leased_at is not null "
        "and ttl_seconds is not null)",
        name="held",
    ),
    CheckConstraint(f"({LEASED}) = (expires_at is not null)", name="expires_at"),
    CheckConstraint("(state = 'filled') = (location is not null)", name="location"),
    CheckConstraint("(state = 'unavailable') = (reason is not null)", name="reason"),
    CheckConstraint("attempt >= 0 and revision > 0", name="counted"),
    # Handed out: never handed out first, then the longest since.
    Index("fetch_tasks_open", "host", text("leased_at nulls first"), "id", postgresql_where=text(OPEN)),
    Index("fetch_tasks_expiring", "host", "expires_at", postgresql_where=text(LEASED)),
    Index("fetch_tasks_held", "lease_id", postgresql_where=text(LEASED)),
    Index("fetch_tasks_stale", "host", postgresql_where=text("state = 'open' and updated_by = 'expiry'")),
    Index("fetch_tasks_of_host", "host", "id"),
    Index("fetch_tasks_location", "location", postgresql_where=text("location is not null")),
)

# The versions that a task has had before; a trigger keeps them.
fetch_history = Table(
    "fetch_history",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("task_id", BigInteger, nullable=False),
    *_facts(),
    Index("fetch_history_of_task", "task_id", "id"),
    Index("fetch_history_of_lease", "lease_id", postgresql_where=text(LEASED)),
)

# Which items asked for a task.
candidates = Table(
    "candidates",
    metadata,
    Column("task_id", BigInteger, ForeignKey("fetch_tasks.id"), primary_key=True),
    Column("pool_id", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("collection_id", Integer, nullable=False),
    Column("found_by", Text, nullable=False),
    stamped("found_at"),
    Index("candidates_of_item", "pool_id", "position"),
)

# Counts as sums: triggers add to them, the relay folds them up.
fetch_tallies = Table(
    "fetch_tallies",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("host", Text(collation="C"), nullable=False),
    Column("state", Text, nullable=False),
    Column("tasks", BigInteger, nullable=False),
)

# Short ids for clients that know nothing else: an item has one as soon as such a client gets it.
item_numbers = Table(
    "item_numbers",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("pool_id", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("collection_id", Integer, nullable=False),
    UniqueConstraint("pool_id", "position"),
)

# Few rows, so that they are counted at any time: items whose lease ran out, and items that nobody has found.
Index(
    "item_states_stale",
    item_states.c.collection_id,
    postgresql_where=text("state = 'available' and error_code = 'lease_expired'"),
)
Index(
    "item_states_nacked",
    item_states.c.collection_id,
    postgresql_where=text("nacked_at is not null and state <> 'completed'"),
)
