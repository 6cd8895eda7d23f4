"""Manifests, deliveries, the shared cache, and what deployments tell each other; passwords."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NOTE = """
create function note_replica(a_kind text, a_space text, a_key text) returns void language sql as $$
    insert into replicas (kind, space, key, revision) values (a_kind, a_space, a_key, 1)
    on conflict (kind, space, key) do update set revision = replicas.revision + 1, seq = null
$$
"""
MANIFEST_CHANGED = """
create function manifest_changed() returns trigger language plpgsql as $$
begin
    perform note_replica('manifest', new.host, new.external_id);
    return null;
end $$
"""
CACHE_CHANGED = """
create function cached_value_changed() returns trigger language plpgsql as $$
begin
    perform note_replica('cache', new.space, new.key);
    return null;
end $$
"""
# Who holds a task is nobody's business but this deployment's: a leased task is an open one elsewhere.
TASK_CHANGED = """
create function fetch_task_changed() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' or old.location is distinct from new.location or old.reason is distinct from new.reason then
        perform note_replica('task', new.host, new.external_id);
    end if;
    return null;
end $$
"""
LINKED = """
create function candidate_linked() returns trigger language plpgsql as $$
begin
    perform note_replica('link', t.host, t.external_id || e'\\n' || c.name || e'\\n' || i.key)
    from fetch_tasks t, collections c, items i
    where t.id = new.task_id and c.id = new.collection_id and i.pool_id = new.pool_id and i.position = new.position;
    return null;
end $$
"""
# A thing as it is told to other deployments; null for one that is not there any more.
SHARED = """
create function shared_thing(a_kind text, a_space text, a_key text) returns jsonb language sql stable as $$
    select case a_kind
        when 'manifest' then (
            select jsonb_build_object(
                'kind', 'manifest', 'host', host, 'external_id', external_id, 'directory', directory, 'files', files,
                'location', location, 'updated_by', updated_by, 'updated_at', updated_at
            ) from manifests where host = a_space and external_id = a_key
        )
        when 'task' then (
            select jsonb_build_object(
                'kind', 'task', 'host', host, 'external_id', external_id,
                'state', case state when 'leased' then 'open' else state end, 'location', location, 'reason', reason,
                'by', case when state in ('filled', 'unavailable') then updated_by end
            ) from fetch_tasks where host = a_space and external_id = a_key
        )
        when 'cache' then (
            select jsonb_build_object(
                'kind', 'cache', 'space', space, 'key', key, 'value', encode(value, 'base64'),
                'content_type', content_type, 'expires_at', expires_at, 'updated_by', updated_by,
                'updated_at', updated_at
            ) from cached_values where space = a_space and key = a_key
        )
        when 'link' then jsonb_build_object(
            'kind', 'link', 'host', a_space, 'external_id', split_part(a_key, e'\\n', 1),
            'collection', split_part(a_key, e'\\n', 2),
            'item', substr(a_key, length(split_part(a_key, e'\\n', 1) || split_part(a_key, e'\\n', 2)) + 3)
        )
    end
$$
"""
TRIGGERS = (
    "create trigger manifest_changed after insert or update on manifests "
    "for each row execute function manifest_changed()",
    "create trigger cached_value_changed after insert or update on cached_values "
    "for each row execute function cached_value_changed()",
    "create trigger fetch_task_changed after insert or update of state, location, reason on fetch_tasks "
    "for each row execute function fetch_task_changed()",
    "create trigger candidate_linked after insert on candidates for each row execute function candidate_linked()",
)
# What was there before.
EARLIER = (
    "select note_replica('task', host, external_id) from fetch_tasks",
    "select note_replica('link', t.host, t.external_id || e'\\n' || c.name || e'\\n' || i.key) from candidates l "
    "join fetch_tasks t on t.id = l.task_id join collections c on c.id = l.collection_id "
    "join items i on i.pool_id = l.pool_id and i.position = l.position",
)


def _moment(name: str, now: bool = False, nullable: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def _text(name: str, nullable: bool = False, collation: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation=collation), nullable=nullable)


def upgrade() -> None:
    _manifests()
    _deliveries()
    _shared()
    op.add_column("tokens", _text("password", nullable=True))
    for function in (NOTE, MANIFEST_CHANGED, CACHE_CHANGED, TASK_CHANGED, LINKED, SHARED):
        op.execute(function)
    for trigger in (*TRIGGERS, *EARLIER):
        op.execute(trigger)


def _manifests() -> None:
    op.create_table(
        "manifests",
        _text("host", collation="C"),
        _text("external_id", collation="C"),
        _text("directory", collation="C"),
        sa.Column("files", postgresql.JSONB(), nullable=False),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("list_sha256", collation="C"),
        _text("location", nullable=True),
        _text("updated_by"),
        _moment("updated_at", now=True),
        sa.CheckConstraint("file_count > 0 and size >= 0", name=op.f("manifests_counted_check")),
        sa.CheckConstraint("list_sha256 ~ '^[0-9a-f]{64}$'", name=op.f("manifests_list_sha256_check")),
        sa.PrimaryKeyConstraint("host", "external_id", name=op.f("manifests_pkey")),
    )
    op.create_index("manifests_by_directory", "manifests", ["directory", "host", "external_id"])
    op.create_index("manifests_by_list", "manifests", ["list_sha256"])
    op.create_index(
        "manifests_by_location", "manifests", ["location"], postgresql_where=sa.text("location is not null")
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        _text("source"),
        _text("location"),
        _text("directory"),
        sa.Column("files", postgresql.JSONB(), nullable=True),
        _text("extra"),
        _text("host", nullable=True, collation="C"),
        _text("external_id", nullable=True, collation="C"),
        _text("list_sha256", nullable=True, collation="C"),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        _text("outcome", nullable=True),
        sa.Column("compared", postgresql.JSONB(), server_default="[]", nullable=False),
        _text("created_by"),
        _moment("created_at", now=True),
        _moment("expires_at", nullable=True),
        _moment("checked_at", nullable=True),
        sa.CheckConstraint("source in ('prefix', 'listed', 'upload')", name=op.f("deliveries_source_check")),
        sa.CheckConstraint("(files is null) = (source = 'prefix')", name=op.f("deliveries_files_check")),
        sa.CheckConstraint("extra in ('ignore', 'refuse')", name=op.f("deliveries_extra_check")),
        sa.CheckConstraint(
            "(source = 'upload') = (host is not null) and (host is null) = (external_id is null) "
            "and (host is null) = (list_sha256 is null) and (host is null) = (expires_at is null)",
            name=op.f("deliveries_upload_check"),
        ),
        sa.CheckConstraint(
            "outcome in ('matched', 'partial', 'mismatch', 'unknown', 'ambiguous')",
            name=op.f("deliveries_outcome_check"),
        ),
        sa.CheckConstraint("(outcome is null) = (checked_at is null)", name=op.f("deliveries_checked_check")),
        sa.CheckConstraint("source = 'upload' or job_id is not null", name=op.f("deliveries_job_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
    )
    op.create_index("deliveries_newest", "deliveries", ["created_at", "id"])
    op.create_index(
        "deliveries_open",
        "deliveries",
        ["expires_at"],
        postgresql_where=sa.text("source = 'upload' and outcome is null"),
    )


def _shared() -> None:
    op.create_table(
        "cached_values",
        _text("space", collation="C"),
        _text("key", collation="C"),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        _text("content_type"),
        _text("etag"),
        _text("updated_by"),
        _moment("updated_at", now=True),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("space", "key", name=op.f("cached_values_pkey")),
    )
    op.create_index("cached_values_expiry", "cached_values", ["expires_at"])
    op.create_table(
        "replicas",
        _text("kind", collation="C"),
        _text("space", collation="C"),
        _text("key", collation="C"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind in ('cache', 'link', 'manifest', 'task')", name=op.f("replicas_kind_check")),
        sa.CheckConstraint("revision > 0", name=op.f("replicas_revision_check")),
        sa.PrimaryKeyConstraint("kind", "space", "key", name=op.f("replicas_pkey")),
    )
    op.create_index("replicas_seq", "replicas", ["seq"], unique=True, postgresql_where=sa.text("seq is not null"))
    op.create_index(
        "replicas_unnumbered", "replicas", ["kind", "space", "key"], postgresql_where=sa.text("seq is null")
    )
    op.execute("create sequence replica_numbers")
    op.create_table(
        "replica_marks",
        _text("peer"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        _moment("updated_at", now=True),
        sa.PrimaryKeyConstraint("peer", name=op.f("replica_marks_pkey")),
    )


def downgrade() -> None:
    raise NotImplementedError("Migrations go forward only: restore a backup instead.")
