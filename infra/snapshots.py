"""One moment of a project, copied out: binary COPY in one repeatable-read transaction, and then it is over.

So a label that arrives meanwhile is in no file twice, and a slow model holds no snapshot that would slow others down.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import Connection, Engine

from infra import db


class UnknownClassifier(Exception):
    """There is no classifier of this number."""


class UnknownProject(Exception):
    """There is no such project."""


class Forbidden(Exception):
    """Whoever asked for the job may not see what it would show him."""


@contextmanager
def moment(engine: Engine) -> Iterator[Connection]:
    """A read-only transaction in which everything is as it was at its beginning."""
    with engine.connect() as connection:
        still = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with still.begin():
            db.run(still, "snapshots.unlimited")
            yield still


def classifier(connection: Connection, number: int) -> db.Row:
    """A classifier as it is stored. Raises UnknownClassifier."""
    row = db.row(connection, "snapshots.classifier", classifier=number)
    if row is None:
        raise UnknownClassifier
    return row


def project(connection: Connection, name: str, job_id: UUID, identities: bool) -> db.Row:
    """The project and the time. Raises UnknownProject, and Forbidden for a job of somebody who may not see this."""
    row = db.row(connection, "snapshots.project", project=name)
    if row is None:
        raise UnknownProject
    asks = db.row(connection, "snapshots.standing", project=name, job_id=job_id)
    if asks is None or not asks["member"] or (identities and not asks["admin"]):
        raise Forbidden
    return row


def choose(connection: Connection, project: str) -> None:
    """Say which project is copied."""
    db.rows(connection, "snapshots.choose", project=project)


def expected(connection: Connection) -> int:
    """About how many of its datapoints nobody has labelled, as the planner thinks."""
    [told] = db.rows(connection, "snapshots.expected")
    [plan] = told["QUERY PLAN"]
    return int(plan["Plan"]["Plan Rows"])


def copy(connection: Connection, part: str, sink: BinaryIO) -> None:
    """Write a part of it (a query of `snapshots.sql`), as the server sends it."""
    db.copy_out(connection, f"snapshots.{part}", sink)


def stop(connection: Connection) -> None:
    """Break off what another thread copies, which fails there."""
    with suppress(Exception):  # it has ended meanwhile, or is not there any more
        cast(Any, connection.connection.driver_connection).cancel()
