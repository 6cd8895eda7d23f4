"""The table of tokens: who may do what, in whose name, and how much of it."""

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, Integer, Table, Text

from infra.columns import moment, stamped, tenant_column
from infra.tables.schema import metadata

tokens = Table(
    "tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("roles", ARRAY(Text), nullable=False),
    Column("secret_sha256", Text, nullable=False, unique=True),
    # What a person may send in place of the secret, as a salted hash: `scrypt$cost$block$lanes$salt$hash`.
    Column("password", Text),
    stamped(),
    moment("expires_at"),
    moment("revoked_at"),
    Column("live_jobs", Integer),
    Column("storage_bytes", BigInteger),
    tenant_column(),
    CheckConstraint("live_jobs > 0", name="live_jobs"),
    CheckConstraint("storage_bytes > 0", name="storage_bytes"),
    # Who acts for a tenant is no admin: admins see everything.
    CheckConstraint(
        "tenant = '' or (tenant ~ '^[a-z0-9][a-z0-9_-]{0,62}$' and not 'admin' = any(roles))", name="tenant"
    ),
    CheckConstraint("roles <@ array['admin','producer','worker','reader'] and cardinality(roles) > 0", name="roles"),
)
