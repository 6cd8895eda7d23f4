"""Tables of registered models. A version is never changed: who needs another one registers it."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from infra.columns import stamped, tenant_column
from infra.tables.jobs import job_steps
from infra.tables.schema import metadata

models = Table(
    "models",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    # SHA-256 of all that makes it what it is.
    Column("digest", Text, nullable=False),
    # The archive, kept for as long as the model.
    Column("sha256", Text(collation="C"), ForeignKey("blobs.sha256")),
    Column("details", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    tenant_column(),
    stamped(),
    CheckConstraint("kind in ('dlc', 'rig', 'tracker')", name="kind"),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("kind <> 'dlc' or sha256 is not null", name="archive"),
    CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name="digest"),
    Index("models_by_blob", "sha256", postgresql_where=text("sha256 is not null")),
)

# Parts of work that are named by all that they depend on: the same part is not done twice.
Index("job_steps_stages", job_steps.c.name, postgresql_where=text("name like 'stage:%'"))
