"""What is to be fetched: tasks at hosts with their history, which items asked for them, short ids of items."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

REVISED = """
create function fetch_tasks_revised() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    if new.revision = old.revision then
        new.revision := old.revision + 1;
    end if;
    return new;
end $$
"""
ADDED = """
create function fetch_tasks_added() returns trigger language plpgsql as $$
begin
    insert into fetch_tallies (host, state, tasks) select host, state, count(*) from after group by 1, 2;
    return null;
end $$
"""
CHANGED = """
create function fetch_tasks_changed() returns trigger language plpgsql as $$
begin
    insert into fetch_tallies (host, state, tasks)
    select w.host, s.state, sum(s.sign)
    from was w join after a using (id) cross join lateral (values (w.state, -1), (a.state, 1)) as s (state, sign)
    group by 1, 2 having sum(s.sign) <> 0;
    insert into fetch_history (
        task_id, state, lease_id, owner, worker, attempt, leased_at, expires_at, location, reason, updated_by,
        updated_at, revision
    )
    select id, state, lease_id, owner, worker, attempt, leased_at, expires_at, location, reason, updated_by,
        updated_at, revision
    from was;
    return null;
end $$
"""
# The legal moves of an item from now on: also looked for in vain by somebody who holds it no longer.
MOVES = (
    ("available", "available"),
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


def _facts() -> list[sa.Column[object]]:
    return [
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("leased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="1", nullable=False),
    ]


def upgrade() -> None:
    _tasks()
    _links()
    op.drop_constraint("item_states_move_check", "item_states")
    op.create_check_constraint(op.f("item_states_move_check"), "item_states", LEGAL)
    op.create_index(
        "item_states_stale",
        "item_states",
        ["collection_id"],
        postgresql_where=sa.text("state = 'available' and error_code = 'lease_expired'"),
    )
    op.create_index(
        "item_states_nacked",
        "item_states",
        ["collection_id"],
        postgresql_where=sa.text("nacked_at is not null and state <> 'completed'"),
    )
    op.execute(REVISED)
    op.execute(ADDED)
    op.execute(CHANGED)
    op.execute(
        "create trigger fetch_tasks_revised before update on fetch_tasks "
        "for each row execute function fetch_tasks_revised()"
    )
    op.execute(
        "create trigger fetch_tasks_added after insert on fetch_tasks referencing new table as after "
        "for each statement execute function fetch_tasks_added()"
    )
    op.execute(
        "create trigger fetch_tasks_changed after update on fetch_tasks referencing old table as was "
        "new table as after for each statement execute function fetch_tasks_changed()"
    )


def _tasks() -> None:
    op.create_table(
        "fetch_tasks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("host", sa.Text(collation="C"), nullable=False),
        sa.Column("external_id", sa.Text(collation="C"), nullable=False),
        *_facts(),
        sa.Column("ttl_seconds", sa.Double(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "octet_length(host) between 1 and 300 and host = lower(host) and host !~ '[\\s/]'",
            name=op.f("fetch_tasks_host_check"),
        ),
        sa.CheckConstraint("octet_length(external_id) between 1 and 1024", name=op.f("fetch_tasks_external_id_check")),
        sa.CheckConstraint(
            "state in ('open', 'leased', 'filled', 'unavailable')", name=op.f("fetch_tasks_state_check")
        ),
        sa.CheckConstraint(
            "not (state = 'leased') or (lease_id is not null and owner is not null and leased_at is not null "
            "and ttl_seconds is not null)",
            name=op.f("fetch_tasks_held_check"),
        ),
        sa.CheckConstraint("(state = 'leased') = (expires_at is not null)", name=op.f("fetch_tasks_expires_at_check")),
        sa.CheckConstraint("(state = 'filled') = (location is not null)", name=op.f("fetch_tasks_location_check")),
        sa.CheckConstraint("(state = 'unavailable') = (reason is not null)", name=op.f("fetch_tasks_reason_check")),
        sa.CheckConstraint("attempt >= 0 and revision > 0", name=op.f("fetch_tasks_counted_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("fetch_tasks_pkey")),
        sa.UniqueConstraint("host", "external_id", name=op.f("fetch_tasks_host_external_id_key")),
    )
    op.create_index(
        "fetch_tasks_open",
        "fetch_tasks",
        ["host", sa.literal_column("leased_at nulls first"), "id"],
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "fetch_tasks_expiring", "fetch_tasks", ["host", "expires_at"], postgresql_where=sa.text("state = 'leased'")
    )
    op.create_index("fetch_tasks_held", "fetch_tasks", ["lease_id"], postgresql_where=sa.text("state = 'leased'"))
    op.create_index(
        "fetch_tasks_stale",
        "fetch_tasks",
        ["host"],
        postgresql_where=sa.text("state = 'open' and updated_by = 'expiry'"),
    )
    op.create_index("fetch_tasks_of_host", "fetch_tasks", ["host", "id"])
    op.create_index(
        "fetch_tasks_location", "fetch_tasks", ["location"], postgresql_where=sa.text("location is not null")
    )
    op.create_table(
        "fetch_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        *_facts(),
        sa.PrimaryKeyConstraint("id", name=op.f("fetch_history_pkey")),
    )
    op.create_index("fetch_history_of_task", "fetch_history", ["task_id", "id"])


def _links() -> None:
    op.create_table(
        "candidates",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("found_by", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["fetch_tasks.id"], name=op.f("candidates_task_id_fkey")),
        sa.PrimaryKeyConstraint("task_id", "pool_id", "position", name=op.f("candidates_pkey")),
    )
    op.create_index("candidates_of_item", "candidates", ["pool_id", "position"])
    op.create_table(
        "fetch_tallies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("host", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tasks", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("fetch_tallies_pkey")),
    )
    op.create_table(
        "item_numbers",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("item_numbers_pkey")),
        sa.UniqueConstraint("pool_id", "position", name=op.f("item_numbers_pool_id_position_key")),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
