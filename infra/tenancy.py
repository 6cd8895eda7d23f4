"""Tenants: a transaction in a tenant's name sees what is the tenant's and nothing else, whatever it asks for.

The database keeps that, by row-level security (migration 0013): no query names a tenant, so none can forget to. Whoever
acts for nobody (`""`: operators, consumers, the relay) sees everything.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Connection, Engine

from infra import db

NOBODY = ""
ROLE = "reelmill_tenant"


def act_as(connection: Connection, tenant: str) -> None:
    """From here to its end, the transaction is this tenant's. Nothing changes for nobody's."""
    if tenant != NOBODY:
        db.run(connection, "tenancy.act_as", tenant=tenant)


@contextmanager
def transaction(engine: Engine, tenant: str) -> Iterator[Connection]:
    """A transaction in a tenant's name."""
    with engine.begin() as connection:
        act_as(connection, tenant)
        yield connection


@contextmanager
def unscoped(connection: Connection) -> Iterator[None]:
    """In here a tenant's transaction sees everything: for what tenants share without knowing, such as equal bytes."""
    [now] = db.rows(connection, "tenancy.role")
    if now["role"] != ROLE:
        yield
        return
    db.run(connection, "tenancy.set_role", role="none")
    yield
    db.run(connection, "tenancy.set_role", role=ROLE)


def sees_jobs(connection: Connection, ids: Sequence[UUID]) -> bool:
    """Whether each of these jobs is there for who asks."""
    return bool(db.rows(connection, "tenancy.jobs", ids=list(ids))[0]["jobs"] == len(set(ids)))


def sees_collection(connection: Connection, name: str) -> bool:
    """Whether a collection is there for who asks."""
    return db.row(connection, "tenancy.collection", name=name) is not None


def of_caller(connection: Connection, name: str) -> str:
    """The tenant that a caller acts for."""
    row = db.row(connection, "tenancy.of_caller", name=name)
    return str(row["tenant"]) if row is not None else NOBODY
