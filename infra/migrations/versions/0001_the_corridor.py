"""The corridor: blobs and files, jobs with their inputs, steps and outputs, events, tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOVES = (
    ("scheduled", "queued"),
    ("scheduled", "cancelled"),
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "scheduled"),
    ("running", "queued"),
    ("failed", "queued"),
    ("cancelled", "queued"),
)

# Every move of a job is a fact in the same transaction, and only legal moves happen, whoever writes the SQL.
JOB_MOVED = """
create function job_moved() returns trigger language plpgsql as $$
declare
    what text := new.state;
begin
    if tg_op = 'UPDATE' and old.state = new.state then
        if floor(new.progress) > floor(old.progress) then
            what := 'progress';
        elsif old.cancel_requested_at is null and new.cancel_requested_at is not null then
            what := 'cancel_requested';
        else
            return null;
        end if;
    elsif tg_op = 'UPDATE'
        and not exists (select from job_moves where before = old.state and after = new.state)
    then
        raise exception 'a job cannot move from % to %', old.state, new.state
            using errcode = 'check_violation', constraint = 'jobs_move_check';
    end if;
    insert into events (type, job_id, traceparent, data)
    values (
        'job.' || new.kind || '.' || what, new.id, new.traceparent,
        jsonb_strip_nulls(jsonb_build_object(
            'state', new.state, 'attempt', new.attempt, 'progress', round(new.progress::numeric, 2),
            'worker', new.worker, 'error_code', new.error_code, 'error_message', new.error_message,
            'run_at', case when new.state = 'scheduled' then new.run_at end
        ))
    );
    return null;
end $$
"""


def upgrade() -> None:
    op.execute("create sequence claim_tokens")
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("sha1", sa.Text(collation="C"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("sha1 ~ '^[0-9a-f]{40}$'", name=op.f("blobs_sha1_check")),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("blobs_sha256_check")),
        sa.CheckConstraint("(object_key is null) = (erased_at is not null)", name=op.f("blobs_erased_check")),
        sa.CheckConstraint("size >= 0", name=op.f("blobs_size_check")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("blobs_pkey")),
        sa.UniqueConstraint("object_key", name=op.f("blobs_object_key_key")),
    )
    op.create_index("blobs_sha1", "blobs", ["sha1"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("object_key", name=op.f("erasures_pkey")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column(
            "occurred_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("published", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
        sa.UniqueConstraint("seq", name=op.f("events_seq_key")),
    )
    op.create_index("events_by_job", "events", ["job_id", "id"], unique=False)
    op.create_index("events_unnumbered", "events", ["id"], unique=False, postgresql_where=sa.text("seq is null"))
    op.create_index(
        "events_unpublished",
        "events",
        ["seq"],
        unique=False,
        postgresql_where=sa.text("seq is not null and not published"),
    )
    op.create_table(
        "job_moves",
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("before", "after", name=op.f("job_moves_pkey")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("unique_key", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("request_sha256", sa.Text(), nullable=True),
        sa.Column("submitted_by", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("progress", sa.REAL(), server_default="0", nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'running') = (token is not null)", name=op.f("jobs_token_check")),
        sa.CheckConstraint(
            "(state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)",
            name=op.f("jobs_finished_check"),
        ),
        sa.CheckConstraint("state <> 'failed' or error_code is not null", name=op.f("jobs_error_check")),
        sa.CheckConstraint("state <> 'queued' or queued_at is not null", name=op.f("jobs_queued_check")),
        sa.CheckConstraint("state <> 'succeeded' or result is not null", name=op.f("jobs_result_check")),
        sa.CheckConstraint(
            "state in ('scheduled','queued','running','succeeded','failed','cancelled')", name=op.f("jobs_state_check")
        ),
        sa.CheckConstraint("via in ('http', 'amqp', 'job')", name=op.f("jobs_via_check")),
        sa.CheckConstraint("(token is null) = (lease_until is null)", name=op.f("jobs_lease_check")),
        sa.CheckConstraint("attempt between 0 and max_attempts", name=op.f("jobs_attempt_check")),
        sa.CheckConstraint("progress between 0 and 100", name=op.f("jobs_progress_check")),
        sa.ForeignKeyConstraint(["parent_id"], ["jobs.id"], name=op.f("jobs_parent_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("jobs_pkey")),
    )
    op.create_index("jobs_by_kind", "jobs", ["kind", "id"], unique=False)
    op.create_index(
        "jobs_by_parent", "jobs", ["parent_id"], unique=False, postgresql_where=sa.text("parent_id is not null")
    )
    op.create_index("jobs_by_state", "jobs", ["state", "id"], unique=False)
    op.create_index("jobs_due", "jobs", ["run_at"], unique=False, postgresql_where=sa.text("state = 'scheduled'"))
    op.create_index(
        "jobs_idempotency",
        "jobs",
        ["submitted_by", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key is not null"),
    )
    op.create_index("jobs_leased", "jobs", ["lease_until"], unique=False, postgresql_where=sa.text("state = 'running'"))
    op.create_index(
        "jobs_live_key",
        "jobs",
        ["kind", "unique_key"],
        unique=True,
        postgresql_where=sa.text("unique_key is not null and state in ('scheduled', 'queued', 'running')"),
    )
    op.create_index(
        "jobs_unpublished",
        "jobs",
        ["consumer", "queued_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' and published_at is null"),
    )
    op.create_index(
        "jobs_waiting", "jobs", ["consumer", "published_at"], unique=False, postgresql_where=sa.text("state = 'queued'")
    )
    op.create_table(
        "tokens",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "roles <@ array['admin','producer','worker','reader'] and cardinality(roles) > 0",
            name=op.f("tokens_roles_check"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("tokens_pkey")),
        sa.UniqueConstraint("secret_sha256", name=op.f("tokens_secret_sha256_key")),
    )
    op.create_table(
        "files",
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("files_sha256_fkey")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("files_pkey")),
    )
    op.create_index("files_newest", "files", ["created_at", "sha256"], unique=False)
    op.create_table(
        "job_inputs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("param", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("job_inputs_job_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("job_inputs_sha256_fkey")),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("job_inputs_pkey")),
    )
    op.create_index("job_inputs_by_blob", "job_inputs", ["sha256"], unique=False)
    op.create_table(
        "job_outputs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("job_outputs_job_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("job_outputs_sha256_fkey")),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("job_outputs_pkey")),
    )
    op.create_index("job_outputs_by_blob", "job_outputs", ["sha256"], unique=False)
    op.create_table(
        "job_steps",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("record", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("job_steps_job_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("job_steps_pkey")),
        sa.UniqueConstraint("job_id", "ordinal", name=op.f("job_steps_job_id_ordinal_key")),
    )
    op.create_table(
        "discards",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("discards_job_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("discards_pkey")),
    )
    op.create_table(
        "file_names",
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["files.sha256"], name=op.f("file_names_sha256_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256", "name", name=op.f("file_names_pkey")),
    )

    moves = sa.table("job_moves", sa.column("before", sa.Text), sa.column("after", sa.Text))
    op.bulk_insert(moves, [{"before": before, "after": after} for before, after in MOVES])
    op.execute(JOB_MOVED)
    op.execute(
        "create trigger job_moved after insert or update of state, progress, cancel_requested_at on jobs "
        "for each row execute function job_moved()"
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
