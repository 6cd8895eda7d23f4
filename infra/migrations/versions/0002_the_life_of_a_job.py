"""The life of a job: lanes, holds, dependencies, limits, schedules; parked messages, webhooks, the events' mark."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# In the fast lane claim, effect and end are one transaction.
FAST_MOVES = (("queued", "succeeded"),)
# Also for a job whose message nobody could take.
MORE_MOVES = (("queued", "failed"), ("queued", "scheduled"))

# Set by set, because a batch of jobs moves in one statement.
FACTS = """
insert into events (type, job_id, traceparent, data)
select
    'job.' || j.kind || '.' || j.what, j.id, j.traceparent,
    jsonb_strip_nulls(jsonb_build_object(
        'state', j.state, 'attempt', j.attempt, 'progress', round(j.progress::numeric, 2),
        'worker', j.worker, 'error_code', j.error_code, 'error_message', j.error_message,
        'run_at', case when j.state = 'scheduled' then j.run_at end
    ))
"""
JOBS_ADDED = """
create function jobs_added() returns trigger language plpgsql as $$
begin
    FACTS from (select *, state as what from after order by id) as j;
    return null;
end $$
""".replace("FACTS", FACTS)
JOBS_CHANGED = """
create function jobs_changed() returns trigger language plpgsql as $$
declare
    illegal record;
begin
    -- Full joins, and no equality of states that would make them less: they are never done as a loop over both sides,
    -- whatever number of rows the plan was made for.
    select b.state as before, a.state as after into illegal
    from after a full join before b using (id)
    where a.state is distinct from b.state and not exists (
        select from job_moves m
        where m.before = b.state and m.after = a.state and (a.lane = 'fast' or not m.fast_only)
    )
    limit 1;
    if found then
        raise exception 'a job cannot move from % to %', illegal.before, illegal.after
            using errcode = 'check_violation', constraint = 'jobs_move_check';
    end if;
    with changed as materialized (
        select a.*, a.state is distinct from b.state as moved, case
            when a.state is distinct from b.state then a.state
            when floor(a.progress) > floor(b.progress) then 'progress'
            else 'cancel_requested'
        end as what
        from after a full join before b using (id)
        where a.state is distinct from b.state
            or floor(a.progress) > floor(b.progress)
            or (b.cancel_requested_at is null and a.cancel_requested_at is not null)
    ),
    noted as (
        update job_dependencies d set outcome = c.state
        from changed c
        where c.moved and c.finished_at is not null and d.needs_id = c.id and d.outcome is null
    )
    FACTS from (select * from changed order by id) as j;
    return null;
end $$
""".replace("FACTS", FACTS)

# Whoever deletes events: readers learn from where on there is no gap, and no number is given twice.
EVENTS_GONE = """
create function events_gone() returns trigger language plpgsql as $$
begin
    update event_marks set seq = greatest(seq, (select max(gone.seq) from gone)) where reader = 'retired';
    return null;
end $$
"""


def upgrade() -> None:
    _jobs()
    _dependencies()
    _operators()
    _messages()
    _events()
    _moves()


def _jobs() -> None:
    op.add_column("jobs", sa.Column("lane", sa.Text(), server_default="leased", nullable=False))
    op.add_column("jobs", sa.Column("held", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("concurrency_key", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("waiting", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("jobs", sa.Column("after_failure", sa.Text(), server_default="cancel", nullable=False))
    op.create_check_constraint(op.f("jobs_lane_check"), "jobs", "lane in ('leased', 'fast')")
    op.create_check_constraint(
        op.f("jobs_held_check"),
        "jobs",
        "held is null or (state = 'queued' and held in ('paused', 'concurrency', 'rate'))",
    )
    op.create_check_constraint(op.f("jobs_waiting_check"), "jobs", "not waiting or state = 'scheduled'")
    op.create_check_constraint(op.f("jobs_after_failure_check"), "jobs", "after_failure in ('cancel', 'run')")
    op.drop_constraint("jobs_via_check", "jobs")
    op.create_check_constraint(op.f("jobs_via_check"), "jobs", "via in ('http', 'amqp', 'job', 'schedule')")
    op.drop_index("jobs_due", "jobs")
    op.create_index(
        "jobs_due", "jobs", ["run_at"], unique=False, postgresql_where=sa.text("state = 'scheduled' and not waiting")
    )
    op.drop_index("jobs_unpublished", "jobs")
    op.create_index(
        "jobs_unpublished",
        "jobs",
        ["consumer", "queued_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' and published_at is null and held is null"),
    )
    op.create_index(
        "jobs_next",
        "jobs",
        ["consumer", sa.text("priority desc"), "queued_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' and held is null and lane = 'leased'"),
    )
    op.create_index(
        "jobs_ready",
        "jobs",
        ["kind", "concurrency_key"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' and held is null and lane = 'leased'"),
    )
    op.create_index(
        "jobs_held",
        "jobs",
        ["kind", "held", sa.text("priority desc"), "queued_at", "id"],
        unique=False,
        postgresql_where=sa.text("held is not null"),
    )
    op.create_index(
        "jobs_held_by_key",
        "jobs",
        ["kind", "concurrency_key", sa.text("priority desc"), "queued_at", "id"],
        unique=False,
        postgresql_where=sa.text("held = 'concurrency' and concurrency_key is not null"),
    )
    op.create_index(
        "jobs_running",
        "jobs",
        ["kind", "concurrency_key"],
        unique=False,
        postgresql_where=sa.text("state = 'running' and started_at is not null"),
    )
    op.drop_index("jobs_leased", "jobs")
    op.create_index(
        "jobs_leased",
        "jobs",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("lease_until is not null"),
    )
    op.drop_index("jobs_waiting", "jobs")
    op.create_index(
        "jobs_waiting",
        "jobs",
        ["consumer", "published_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' and held is null and published_at is not null"),
    )
    op.create_index(
        "jobs_finished", "jobs", ["finished_at"], unique=False, postgresql_where=sa.text("finished_at is not null")
    )


def _dependencies() -> None:
    op.create_table(
        "job_dependencies",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("needs_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("noted", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint("job_id <> needs_id", name=op.f("job_dependencies_self_check")),
        sa.CheckConstraint(
            "outcome in ('succeeded', 'failed', 'cancelled')", name=op.f("job_dependencies_outcome_check")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("job_dependencies_job_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "needs_id", name=op.f("job_dependencies_pkey")),
    )
    op.create_index("job_dependencies_by_need", "job_dependencies", ["needs_id"], unique=False)
    op.create_index(
        "job_dependencies_news",
        "job_dependencies",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("outcome is not null and not noted"),
    )
    op.create_index(
        "job_dependencies_unmet",
        "job_dependencies",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("outcome is null"),
    )


def _operators() -> None:
    op.create_table(
        "kind_controls",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("per_key", sa.Integer(), nullable=True),
        sa.Column("starts_per_second", sa.Double(), nullable=True),
        sa.Column("starts_left", sa.Double(), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("concurrency > 0", name=op.f("kind_controls_concurrency_check")),
        sa.CheckConstraint("per_key > 0", name=op.f("kind_controls_per_key_check")),
        sa.CheckConstraint("starts_per_second > 0", name=op.f("kind_controls_starts_per_second_check")),
        sa.PrimaryKeyConstraint("kind", name=op.f("kind_controls_pkey")),
    )
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("overlap", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_job_id", sa.Uuid(), nullable=True),
        sa.Column("skipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("schedules_pkey")),
    )
    op.create_index("schedules_due", "schedules", ["next_at"], unique=False, postgresql_where=sa.text("enabled"))
    op.create_table(
        "backlogs",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("running", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("consumer", name=op.f("backlogs_pkey")),
    )
    op.add_column("tokens", sa.Column("live_jobs", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("tokens_live_jobs_check"), "tokens", "live_jobs > 0")
    op.create_index(
        "jobs_of_submitter",
        "jobs",
        ["submitted_by"],
        unique=False,
        postgresql_where=sa.text("finished_at is null"),
    )


def _messages() -> None:
    op.create_table(
        "parked",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("routing_key", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("properties", postgresql.JSONB(), nullable=False),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("parked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.CheckConstraint("resolution in ('replayed', 'discarded')", name=op.f("parked_resolution_check")),
        sa.CheckConstraint("(resolution is null) = (resolved_at is null)", name=op.f("parked_resolved_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("parked_pkey")),
        sa.UniqueConstraint("identity", name=op.f("parked_identity_key")),
    )
    op.create_index("parked_open", "parked", ["id"], unique=False, postgresql_where=sa.text("resolution is null"))
    op.create_index(
        "parked_by_fingerprint",
        "parked",
        ["fingerprint", "id"],
        unique=False,
        postgresql_where=sa.text("resolution is null"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("seen_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(previous_secret is null) = (previous_until is null)", name=op.f("webhooks_previous_check")
        ),
        sa.CheckConstraint("(disabled_at is null) = (disabled_reason is null)", name=op.f("webhooks_disabled_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('pending', 'delivered', 'failed')", name=op.f("webhook_deliveries_state_check")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("webhook_deliveries_webhook_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("webhook_id", "seq", name=op.f("webhook_deliveries_pkey")),
    )
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "next_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )


def _events() -> None:
    # How far the events have gone out: a number instead of a second version of every row.
    op.drop_index("events_unpublished", "events")
    op.drop_column("events", "published")
    op.drop_constraint("events_seq_key", "events")
    op.create_index("events_seq", "events", ["seq"], unique=True, postgresql_where=sa.text("seq is not null"))
    op.create_table(
        "event_marks",
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("event_marks_pkey")),
    )
    op.execute("insert into event_marks (reader, seq) values ('exchange', 0), ('retired', 0)")
    op.execute(EVENTS_GONE)
    op.execute(
        "create trigger events_gone after delete on events referencing old table as gone "
        "for each statement execute function events_gone()"
    )


def _moves() -> None:
    op.add_column("job_moves", sa.Column("fast_only", sa.Boolean(), server_default="false", nullable=False))
    moves = sa.table(
        "job_moves", sa.column("before", sa.Text), sa.column("after", sa.Text), sa.column("fast_only", sa.Boolean)
    )
    op.bulk_insert(moves, [{"before": before, "after": after, "fast_only": True} for before, after in FAST_MOVES])
    op.bulk_insert(moves, [{"before": before, "after": after, "fast_only": False} for before, after in MORE_MOVES])
    op.execute("drop trigger job_moved on jobs")
    op.execute("drop function job_moved()")
    op.execute(JOBS_ADDED)
    op.execute(JOBS_CHANGED)
    op.execute(
        "create trigger jobs_added after insert on jobs referencing new table as after "
        "for each statement execute function jobs_added()"
    )
    op.execute(
        "create trigger jobs_changed after update on jobs referencing old table as before new table as after "
        "for each statement execute function jobs_changed()"
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
