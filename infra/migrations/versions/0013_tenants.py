"""Tenants: whose each thing is, and policies by which a tenant's transaction sees nothing else.

Policies count for the role `reelmill_tenant` alone, which the gateway takes on within a transaction
(`infra.tenancy`). Whoever owns the tables, as every process does, is not held by them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ROLE = "reelmill_tenant"
TENANT = "current_setting('reelmill.tenant', true)"
OWN = f"tenant = {TENANT}"
NOTHING = "false"
EVERYTHING = "true"

#: Tables with a tenant of their own.
ROOTS = (
    "jobs",
    "schedules",
    "collections",
    "labelling_projects",
    "projects",
    "dataset_groups",
    "models",
    "detectors",
    "resumable_uploads",
    "tokens",
)


def _of(table: str, key: str, column: str) -> str:
    """Whatever belongs to a row of another table that is visible."""
    return f"exists (select from {table} as parent where parent.{key} = {column})"


KEPT = (
    "case split_part(keeper, ':', 1)"
    " when 'task' then exists (select from tasks where id = cast(substr(keeper, 6) as uuid))"
    " when 'dataset' then exists (select from dataset_versions where id = cast(substr(keeper, 9) as uuid))"
    " when 'detector' then exists (select from detectors where name = substr(keeper, 10))"
    " else false end"
)

#: What a tenant may see of each table. A table that stands nowhere here is closed to tenants.
RULES = {
    **dict.fromkeys(ROOTS, OWN),
    # Work and its facts.
    **{
        table: _of("jobs", "id", f"{table}.job_id")
        for table in ("job_inputs", "job_steps", "job_outputs", "job_dependencies", "discards", "events")
    },
    # Bytes: who may have them is said by what names them.
    "blobs": EVERYTHING,
    "erasures": EVERYTHING,
    "blob_keepers": KEPT,
    "files": _of("file_tenants", "sha256", "files.sha256"),
    "file_tenants": OWN,
    "file_names": _of("tokens", "name", "file_names.created_by"),
    "upload_pieces": _of("resumable_uploads", "id", "upload_pieces.upload_id"),
    # Items under lease.
    **{
        table: _of("collections", "id", f"{table}.collection_id")
        for table in ("pools", "items", "leases", "item_tallies", "worker_tallies", "item_numbers")
    },
    **{table: _of("pools", "id", f"{table}.pool_id") for table in ("grants", "item_states", "item_history")},
    # Labels.
    **{
        table: _of("labelling_projects", "name", f"{table}.project")
        for table in (
            "labelling_members", "labelling_labels", "datapoints", "votes", "sample_timestamps", "classifiers",
        )
    },
    # From uploads to datasets.
    **{table: _of("projects", "id", f"{table}.project_id") for table in ("contents", "uploads", "tasks")},
    "frames": _of("tasks", "id", "frames.task_id"),
    "boxes": _of("tasks", "id", "boxes.task_id"),
    "annotation_runs": _of("uploads", "id", "annotation_runs.upload_id"),
    "dataset_versions": _of("dataset_groups", "name", "dataset_versions.group_name"),
    **{
        table: _of("dataset_versions", "id", f"{table}.version_id")
        for table in ("dataset_tasks", "dataset_frames", "dataset_archives")
    },
    "repeats": _of("tokens", "name", "repeats.submitted_by"),
    # What everybody sees, and what only operators do: a thing at a host is fetched once, whoever asked for it.
    **dict.fromkeys(("kind_controls", "backlogs", "event_marks", "job_moves", "sessions"), EVERYTHING),
    **dict.fromkeys(("parked", "webhooks", "webhook_deliveries"), NOTHING),
    **dict.fromkeys(("fetch_tasks", "fetch_history", "fetch_tallies", "candidates"), NOTHING),
    **dict.fromkeys(("manifests", "deliveries", "cached_values", "replicas", "replica_marks"), NOTHING),
}  # fmt: skip
#: What operators register is there for every tenant to use.
SHARED = ("models", "detectors")

NEW_ROLE = f"""
do $$ begin
    create role {ROLE} nologin;
exception when duplicate_object or unique_violation then null;
end $$
"""


def upgrade() -> None:
    default = sa.text(f"coalesce({TENANT}, '')")
    for table in ROOTS:
        op.add_column(table, sa.Column("tenant", sa.Text(), server_default=default, nullable=False))
    op.create_check_constraint(
        op.f("tokens_tenant_check"),
        "tokens",
        "tenant = '' or (tenant ~ '^[a-z0-9][a-z0-9_-]{0,62}$' and not 'admin' = any(roles))",
    )
    op.create_index("jobs_of_tenant", "jobs", ["tenant", "id"], postgresql_where=sa.text("tenant <> ''"))
    op.drop_index("jobs_live_key", "jobs")
    op.create_index(
        "jobs_live_key",
        "jobs",
        ["kind", "unique_key", "tenant"],
        unique=True,
        postgresql_where=sa.text("unique_key is not null and state in ('scheduled', 'queued', 'running')"),
    )
    op.create_table(
        "file_tenants",
        sa.Column("sha256", sa.Text(collation="C"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sha256"], ["files.sha256"], name=op.f("file_tenants_sha256_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", "tenant", name=op.f("file_tenants_pkey")),
    )
    _protect()


def _protect() -> None:
    op.execute(NEW_ROLE)
    op.execute(f"grant {ROLE} to current_user")
    op.execute(f"grant usage on schema public to {ROLE}")
    op.execute(f"grant usage on all sequences in schema public to {ROLE}")
    op.execute(f"alter default privileges in schema public grant usage on sequences to {ROLE}")
    for table, rule in RULES.items():
        op.execute(f"grant select, insert, update, delete on {table} to {ROLE}")
        op.execute(f"alter table {table} enable row level security")
        # Keepers and files are written beside what makes them visible, in any order.
        check = EVERYTHING if table in {"files", "blob_keepers"} else rule
        op.execute(f"create policy tenants on {table} to {ROLE} using ({rule}) with check ({check})")
    for table in SHARED:
        op.execute(f"create policy shared on {table} for select to {ROLE} using (tenant = '')")
    # Triggers write facts and counts that belong to nobody; views look with the eyes of who asks.
    op.execute("""
        do $$ declare made record;
        begin
            for made in
                select oid::regprocedure as name from pg_proc
                where pronamespace = 'public'::regnamespace and prorettype = 'trigger'::regtype
            loop
                execute format('alter function %s security definer', made.name);
            end loop;
            for made in select oid::regclass as name from pg_class
                where relnamespace = 'public'::regnamespace and relkind = 'v'
            loop
                execute format('alter view %s set (security_invoker = true)', made.name);
                execute format('grant select on %s to reelmill_tenant', made.name);
            end loop;
        end $$
    """)
