"""Exports as rows: jobs of the kind `export.labels`, each with the archive that it has made."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import db, retention


def page(connection: Connection, classifier: int, before: UUID | None, limit: int) -> Sequence[db.Row]:
    """The exports of a classifier, newest first."""
    return db.rows(connection, "exports.page", classifier=classifier, before=before, limit=limit)


def get(connection: Connection, export_id: UUID) -> db.Row | None:
    """One export with its archive."""
    return db.row(connection, "exports.get", id=export_id)


def expire(connection: Connection, age_seconds: float) -> bool:
    """Delete a batch of exports that are older than that, archives first. True when there may be more."""
    rows = db.rows(connection, "exports.expired", age=age_seconds, batch=retention.JOBS)
    return retention.delete(connection, [row["id"] for row in rows])
