"""One moment of a project, copied into files: binary COPY in one repeatable-read transaction, and then it is over.

So a label that arrives meanwhile is in no file twice, and a slow model holds no snapshot that would slow others down.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
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


def copy(connection: Connection, project: str, parts: Sequence[str], folder: Path) -> Mapping[str, Path]:
    """Write parts of a project (queries of `snapshots.sql`) to files, as the server sends them."""
    db.rows(connection, "snapshots.choose", project=project)
    paths = {part: folder / f"{part}.copy" for part in parts}
    for part, path in paths.items():
        db.copy_out(connection, f"snapshots.{part}", path)
    return paths
