"""Who may call: named tokens with roles. Only a hash of each secret is kept; a secret has 256 random bits."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from infra import db

PREFIX = "rm_"


class OtherTenant(Exception):
    """A token of this name belongs to another tenant."""


class Role(StrEnum):
    """What a caller may do. An admin may do everything; a reader only look."""

    ADMIN = "admin"
    PRODUCER = "producer"
    WORKER = "worker"
    READER = "reader"


@dataclass(frozen=True)
class Identity:
    """The caller behind a token."""

    name: str
    roles: frozenset[Role]
    live_jobs: int | None = None
    """How many live jobs the caller may have; None is no limit."""
    storage_bytes: int | None = None
    """How many bytes of uploads the caller may keep; None is no limit."""
    tenant: str = ""
    """Whose things the caller sees: a tenant's alone, or everything."""

    def may(self, role: Role) -> bool:
        """Whether the caller has a role, directly, as an admin, or because every role may read."""
        return role in self.roles or Role.ADMIN in self.roles or role is Role.READER


def create(
    connection: Connection,
    name: str,
    roles: Sequence[Role],
    expires_at: datetime | None = None,
    live_jobs: int | None = None,
    storage_bytes: int | None = None,
    tenant: str = "",
) -> str:
    """Make a token, replacing the one of the same name, and return its secret: the only time it is seen.

    Raises OtherTenant when the name is that of another tenant's token: what its holder has made stays his tenant's.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    made = db.run(
        connection,
        "tokens.upsert",
        name=name,
        roles=[role.value for role in roles],
        secret_sha256=_digest(secret),
        expires_at=expires_at,
        live_jobs=live_jobs,
        storage_bytes=storage_bytes,
        tenant=tenant,
    )
    if not made:
        raise OtherTenant(name)
    return secret


def find(connection: Connection, secret: str) -> Identity | None:
    """The caller whose secret this is. The look-up is by hash, so its time tells nothing about the secret."""
    row = db.row(connection, "tokens.find", secret_sha256=_digest(secret))
    return identity(row) if row is not None else None


def named(connection: Connection, name: str) -> Identity | None:
    """The caller whose live token has this name."""
    row = db.row(connection, "tokens.by_name", name=name)
    return identity(row) if row is not None else None


def identity(row: db.Row) -> Identity:
    """The caller that a row describes."""
    roles = frozenset(Role(r) for r in row["roles"])
    return Identity(row["name"], roles, row["live_jobs"], row["storage_bytes"], row["tenant"])


def revoke(connection: Connection, name: str) -> bool:
    """End a token at once. False when there is no live token of that name."""
    return db.run(connection, "tokens.revoke", name=name) == 1


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
