"""The tables of items under lease.

An item's row is written at its import, in a random order that its position keeps; while nothing has happened to it, it
may make room for a new one. Who holds it follows from grants: stretches of positions, each given to one lease, one
behind the other. Only an item that something has happened to since (finished, failed, given back, taken again) has a
state of its own.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from infra.columns import moment, stamped, tenant_column
from infra.tables.schema import metadata
from schemas.items import MOVES

STATES = "('available', 'leased', 'running', 'completed', 'missing', 'failed')"
HELD = "state in ('leased', 'running')"
LEGAL = " or ".join(f"(before = '{before}' and state = '{after}')" for before, after in sorted(MOVES))


collections = Table(
    "collections",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Text(collation="C"), nullable=False, unique=True),
    Column("ordering", Text, nullable=False, server_default="random"),
    Column("ttl_seconds", Double, nullable=False, server_default="3600"),
    Column("max_attempts", Integer, nullable=False, server_default="5"),
    Column("retry_seconds", Double, nullable=False, server_default="60"),
    Column("per_worker", Integer),
    # Items that lie in the collection's queue, or in the hands of whoever took them from there.
    Column("push", Integer),
    # Which import was the last to change its items, and what became of that one's lines.
    Column("imported", Text),
    Column("imported_record", JSONB),
    Column("created_by", Text, nullable=False),
    tenant_column(),
    stamped(),
    CheckConstraint("ordering in ('random', 'arrival')", name="ordering"),
    CheckConstraint("ttl_seconds > 0", name="ttl_seconds"),
    CheckConstraint("max_attempts > 0", name="max_attempts"),
    CheckConstraint("retry_seconds >= 0", name="retry_seconds"),
    CheckConstraint("per_worker > 0", name="per_worker"),
    CheckConstraint("push > 0", name="push"),
    CheckConstraint("(imported is null) = (imported_record is null)", name="imported"),
)

# What one import brought of one partition, and the few items that have come since. `drained`: the last position has
# been granted.
pools = Table(
    "pools",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("collection_id", Integer, ForeignKey("collections.id"), nullable=False),
    Column("partition", Text(collation="C"), nullable=False, server_default=""),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("drained", Boolean, nullable=False, server_default="false"),
    stamped(),
    CheckConstraint("size >= 0", name="size"),
    Index("pools_of_collection", "collection_id", "partition"),
    Index("pools_open", "collection_id", "partition", postgresql_where=text("not drained")),
)


def _item_columns() -> list[Column[object]]:
    return [
        Column("pool_id", Integer, nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("collection_id", Integer, nullable=False),
        Column("key", Text(collation="C"), nullable=False),
        Column("attributes", JSON, nullable=False),
        Column("shuffle", BigInteger, nullable=False),
        Column("shard", Integer, nullable=False, server_default="0"),
    ]


# A collection's items lie in the shard 0, or in one of their own that has its number: `shard in (0, <collection>)` in
# a query keeps the planner from looking at all others. No index has all shards: a large import builds its own when its
# rows are there.
items = Table("items", metadata, *_item_columns(), postgresql_partition_by="list (shard)")

# `shuffle` is the random order, and the first column of the key's index: an import that comes in this order appends to
# the index instead of writing all over it.
items_shared = Table(
    "items_shared",
    metadata,
    *_item_columns(),
    PrimaryKeyConstraint("pool_id", "position"),
    CheckConstraint("octet_length(key) between 1 and 1024", name="key"),
    CheckConstraint("json_typeof(attributes) = 'object'", name="attributes"),
    # Not a generated column: to compute one costs an import more than to check one.
    CheckConstraint("shuffle = hashtextextended(key, 0)", name="shuffle"),
    Index("items_shared_by_key", "collection_id", "shuffle", "key", unique=True),
)

# Only ever added to. The end of the last one of a pool is where the next one begins: no row is hot, and a transaction
# that is rolled back takes nothing away. No foreign keys here and in item_states: each would lock a row per item.
grants = Table(
    "grants",
    metadata,
    Column("pool_id", Integer, primary_key=True),
    Column("lo", BigInteger, primary_key=True),
    Column("hi", BigInteger, nullable=False),
    Column("taken", Integer, nullable=False),
    # None: positions passed over, all of which have a state of their own.
    Column("lease_id", Uuid),
    CheckConstraint("lo < hi and taken <= hi - lo", name="range"),
    CheckConstraint("(taken > 0) = (lease_id is not null)", name="taken"),
    Index("grants_by_lease", "lease_id", postgresql_where=text("lease_id is not null")),
)

leases = Table(
    "leases",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("collection_id", Integer, ForeignKey("collections.id"), nullable=False),
    # Whose token it is, and what he calls the worker.
    Column("owner", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("request_id", Text),
    # What was asked for, hashed: a request id stands for one request.
    Column("terms", BigInteger),
    Column("ttl_seconds", Double, nullable=False),
    Column("taken", Integer, nullable=False),
    Column("open", Integer, nullable=False),
    stamped("taken_at"),
    moment("expires_at", nullable=False),
    moment("ended_at"),
    Column("ending", Text),
    CheckConstraint("open between 0 and taken", name="open"),
    CheckConstraint("(open = 0) = (ended_at is not null)", name="ended"),
    CheckConstraint("(ended_at is null) = (ending is null)", name="ending"),
    CheckConstraint("ending in ('submitted', 'released', 'expired')", name="ending_word"),
    Index(
        "leases_by_request",
        "collection_id",
        "owner",
        "request_id",
        unique=True,
        postgresql_where=text("request_id is not null"),
    ),
    Index("leases_expiring", "expires_at", postgresql_where=text("ended_at is null")),
    Index("leases_live", "collection_id", "worker", postgresql_where=text("ended_at is null")),
)


def _state_columns() -> list[Column[object]]:
    return [
        Column("collection_id", Integer, nullable=False),
        Column("partition", Text(collation="C"), nullable=False),
        Column("before", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempt", SmallInteger, nullable=False),
        # The latest lease, and who made this move.
        Column("lease_id", Uuid),
        Column("moved_by", Text, nullable=False),
        stamped("moved_at"),
        # From then on it is offered.
        moment("ready_at"),
        moment("leased_at"),
        moment("nacked_at"),
        Column("error_code", Text),
        Column("error_message", Text),
        Column("result", JSONB),
    ]


item_states = Table(
    "item_states",
    metadata,
    Column("pool_id", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    *_state_columns(),
    # How often it was looked for in vain, since everything began anew.
    Column("nacks", SmallInteger, nullable=False, server_default="0"),
    CheckConstraint(f"state in {STATES}", name="state"),
    CheckConstraint(LEGAL, name="move"),
    CheckConstraint(f"not ({HELD}) or (lease_id is not null and leased_at is not null)", name="held"),
    CheckConstraint("ready_at is null or state in ('available', 'failed')", name="ready_at"),
    CheckConstraint("state <> 'available' or ready_at is not null", name="offered"),
    CheckConstraint("attempt >= 0", name="attempt"),
    CheckConstraint("nacks >= 0", name="nacks"),
    Index(
        "item_states_offered",
        "collection_id",
        "partition",
        text("nacked_at nulls first"),
        text("leased_at nulls first"),
        "pool_id",
        "position",
        postgresql_where=text("ready_at is not null"),
    ),
    Index("item_states_ready", "collection_id", "partition", "ready_at", postgresql_where=text("ready_at is not null")),
    # By the lease that has them, or had them last.
    Index("item_states_held", "lease_id", postgresql_where=text(f"{HELD} or ready_at is not null")),
    Index(
        "item_states_ended_badly",
        "collection_id",
        "state",
        "pool_id",
        "position",
        postgresql_where=text("state in ('missing', 'failed')"),
    ),
)

# The states that an item has had before; a trigger keeps them.
item_history = Table(
    "item_history",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("pool_id", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    *_state_columns(),
    Index("item_history_of_item", "pool_id", "position", "id"),
)

# Counts as sums: triggers add to them, the relay folds them up.
item_tallies = Table(
    "item_tallies",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("collection_id", Integer, nullable=False),
    Column("partition", Text(collation="C"), nullable=False),
    Column("state", Text, nullable=False),
    Column("items", BigInteger, nullable=False),
)

worker_tallies = Table(
    "worker_tallies",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("collection_id", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("items", BigInteger, nullable=False),
    CheckConstraint(
        "what in ('taken', 'completed', 'missing', 'failed', 'nacked', 'returned', 'expired')", name="what"
    ),
)
