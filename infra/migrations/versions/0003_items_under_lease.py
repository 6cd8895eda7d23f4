"""Items under lease: collections, pools in random order, grants, leases, states with their history, tallies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The legal moves at the time of this migration.
MOVES = (
    ("available", "completed"),
    ("available", "failed"),
    ("available", "leased"),
    ("available", "missing"),
    ("completed", "available"),
    ("failed", "available"),
    ("failed", "completed"),
    ("failed", "leased"),
    ("failed", "missing"),
    ("leased", "available"),
    ("leased", "completed"),
    ("leased", "failed"),
    ("leased", "missing"),
    ("leased", "running"),
    ("missing", "available"),
    ("running", "available"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "missing"),
)
LEGAL = " or ".join(f"(before = '{before}' and state = '{after}')" for before, after in MOVES)

# What is counted is counted where it is written, whoever writes it: the sums cannot disagree with the rows.
GRANTS_ADDED = """
create function grants_added() returns trigger language plpgsql as $$
begin
    insert into item_tallies (collection_id, partition, state, items)
    select p.collection_id, p.partition, s.state, sum(s.sign * a.taken)
    from added a join pools p on p.id = a.pool_id
    cross join (values ('available', -1), ('leased', 1)) as s (state, sign)
    where a.taken > 0
    group by 1, 2, 3;
    return null;
end $$
"""
TALLY = """
    insert into item_tallies (collection_id, partition, state, items)
    select collection_id, partition, s.state, sum(s.sign)
    from after cross join lateral (values (before, -1), (state, 1)) as s (state, sign)
    group by 1, 2, 3 having sum(s.sign) <> 0;
"""
STATES_ADDED = """
create function item_states_added() returns trigger language plpgsql as $$
begin
    TALLY
    return null;
end $$
""".replace("TALLY", TALLY)
# The state that a row had before must be the one that the move names. What it said is kept.
STATES_CHANGED = """
create function item_states_changed() returns trigger language plpgsql as $$
begin
    if exists (
        select from after a join was w using (pool_id, position) where a.before <> w.state
    ) then
        raise exception 'an item is not in the state that it is moved from'
            using errcode = 'check_violation', constraint = 'item_states_before_check';
    end if;
    TALLY
    insert into item_history (
        pool_id, position, collection_id, partition, before, state, attempt, lease_id, moved_by, moved_at, ready_at,
        leased_at, nacked_at, error_code, error_message, result
    )
    select pool_id, position, collection_id, partition, before, state, attempt, lease_id, moved_by, moved_at, ready_at,
        leased_at, nacked_at, error_code, error_message, result
    from was;
    return null;
end $$
""".replace("TALLY", TALLY)
# Who holds what: stretches of positions without those that something has happened to, and items taken one by one.
# `offset 0` keeps the planner from reading all states for a few items.
HELD_ITEMS = """
create view held_items as
select g.lease_id, i.pool_id, i.position, i.collection_id, p.partition, i.key, i.attributes,
    text 'leased' as state, smallint '1' as attempt, l.taken_at as leased_at, null::timestamptz as nacked_at
from grants g
join leases l on l.id = g.lease_id
join pools p on p.id = g.pool_id
join items i on i.pool_id = g.pool_id and i.position >= g.lo and i.position < g.hi
where not exists (
    select from item_states s where s.pool_id = i.pool_id and s.position = i.position offset 0
)
union all
select s.lease_id, i.pool_id, i.position, i.collection_id, s.partition, i.key, i.attributes, s.state, s.attempt,
    s.leased_at, s.nacked_at
from item_states s join items i using (pool_id, position)
where s.state in ('leased', 'running')
"""


def upgrade() -> None:
    _tables()
    op.execute(GRANTS_ADDED)
    op.execute(STATES_ADDED)
    op.execute(STATES_CHANGED)
    op.execute(HELD_ITEMS)
    op.execute(
        "create trigger grants_added after insert on grants referencing new table as added "
        "for each statement execute function grants_added()"
    )
    op.execute(
        "create trigger item_states_added after insert on item_states referencing new table as after "
        "for each statement execute function item_states_added()"
    )
    op.execute(
        "create trigger item_states_changed after update on item_states referencing old table as was "
        "new table as after for each statement execute function item_states_changed()"
    )


def _tables() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("ordering", sa.Text(), server_default="random", nullable=False),
        sa.Column("ttl_seconds", sa.Double(), server_default="3600", nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default="5", nullable=False),
        sa.Column("retry_seconds", sa.Double(), server_default="60", nullable=False),
        sa.Column("per_worker", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("ordering in ('random', 'arrival')", name=op.f("collections_ordering_check")),
        sa.CheckConstraint("max_attempts > 0", name=op.f("collections_max_attempts_check")),
        sa.CheckConstraint("per_worker > 0", name=op.f("collections_per_worker_check")),
        sa.CheckConstraint("retry_seconds >= 0", name=op.f("collections_retry_seconds_check")),
        sa.CheckConstraint("ttl_seconds > 0", name=op.f("collections_ttl_seconds_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("collections_pkey")),
        sa.UniqueConstraint("name", name=op.f("collections_name_key")),
    )
    op.create_table(
        "grants",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("lo", sa.BigInteger(), nullable=False),
        sa.Column("hi", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(taken > 0) = (lease_id is not null)", name=op.f("grants_taken_check")),
        sa.CheckConstraint("lo < hi and taken <= hi - lo", name=op.f("grants_range_check")),
        sa.PrimaryKeyConstraint("pool_id", "lo", name=op.f("grants_pkey")),
    )
    op.create_index(
        "grants_by_lease", "grants", ["lease_id"], unique=False, postgresql_where=sa.text("lease_id is not null")
    )
    op.create_table(
        "item_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("partition", sa.Text(collation="C"), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("moved_by", sa.Text(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("nacked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("item_history_pkey")),
    )
    op.create_index("item_history_of_item", "item_history", ["pool_id", "position", "id"], unique=False)
    op.create_table(
        "item_states",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("partition", sa.Text(collation="C"), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("moved_by", sa.Text(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("nacked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint(
            LEGAL,
            name=op.f("item_states_move_check"),
        ),
        sa.CheckConstraint(
            "not (state in ('leased', 'running')) or (lease_id is not null and leased_at is not null)",
            name=op.f("item_states_held_check"),
        ),
        sa.CheckConstraint(
            "ready_at is null or state in ('available', 'failed')", name=op.f("item_states_ready_at_check")
        ),
        sa.CheckConstraint("state <> 'available' or ready_at is not null", name=op.f("item_states_offered_check")),
        sa.CheckConstraint(
            "state in ('available', 'leased', 'running', 'completed', 'missing', 'failed')",
            name=op.f("item_states_state_check"),
        ),
        sa.CheckConstraint("attempt >= 0", name=op.f("item_states_attempt_check")),
        sa.PrimaryKeyConstraint("pool_id", "position", name=op.f("item_states_pkey")),
    )
    op.create_index(
        "item_states_ended_badly",
        "item_states",
        ["collection_id", "state", "pool_id", "position"],
        unique=False,
        postgresql_where=sa.text("state in ('missing', 'failed')"),
    )
    op.create_index(
        "item_states_held",
        "item_states",
        ["lease_id"],
        unique=False,
        postgresql_where=sa.text("state in ('leased', 'running')"),
    )
    op.create_index(
        "item_states_offered",
        "item_states",
        [
            "collection_id",
            "partition",
            sa.literal_column("nacked_at nulls first"),
            sa.literal_column("leased_at nulls first"),
            "pool_id",
            "position",
        ],
        unique=False,
        postgresql_where=sa.text("ready_at is not null"),
    )
    op.create_table(
        "item_tallies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("partition", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("item_tallies_pkey")),
    )
    op.create_table(
        "items",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("shuffle", sa.BigInteger(), sa.Computed("hashtextextended(key, 0)", persisted=True), nullable=True),
        sa.CheckConstraint("json_typeof(attributes) = 'object'", name=op.f("items_attributes_check")),
        sa.CheckConstraint("octet_length(key) between 1 and 1024", name=op.f("items_key_check")),
        sa.PrimaryKeyConstraint("pool_id", "position", name=op.f("items_pkey")),
    )
    op.create_index("items_by_key", "items", ["collection_id", "shuffle", "key"], unique=True)
    op.create_table(
        "worker_tallies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "what in ('taken', 'completed', 'missing', 'failed', 'nacked', 'returned', 'expired')",
            name=op.f("worker_tallies_what_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("worker_tallies_pkey")),
    )
    op.create_table(
        "leases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("ttl_seconds", sa.Double(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.Text(), nullable=True),
        sa.CheckConstraint("ending in ('submitted', 'released', 'expired')", name=op.f("leases_ending_word_check")),
        sa.CheckConstraint("(ended_at is null) = (ending is null)", name=op.f("leases_ending_check")),
        sa.CheckConstraint("(open = 0) = (ended_at is not null)", name=op.f("leases_ended_check")),
        sa.CheckConstraint("open between 0 and taken", name=op.f("leases_open_check")),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name=op.f("leases_collection_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("leases_pkey")),
    )
    op.create_index(
        "leases_by_request",
        "leases",
        ["collection_id", "owner", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id is not null"),
    )
    op.create_index(
        "leases_expiring", "leases", ["expires_at"], unique=False, postgresql_where=sa.text("ended_at is null")
    )
    op.create_index(
        "leases_live", "leases", ["collection_id", "worker"], unique=False, postgresql_where=sa.text("ended_at is null")
    )
    op.create_table(
        "pools",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("partition", sa.Text(collation="C"), server_default="", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("drained", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("size >= 0", name=op.f("pools_size_check")),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name=op.f("pools_collection_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("pools_pkey")),
    )
    op.create_index("pools_of_collection", "pools", ["collection_id", "partition"], unique=False)
    op.create_index(
        "pools_open", "pools", ["collection_id", "partition"], unique=False, postgresql_where=sa.text("not drained")
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
