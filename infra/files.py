"""Files: content that somebody uploaded. One row per content, whatever the names it was uploaded with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from infra import blobs, db, events, jobs, tenancy
from infra.steps import StoredObject

#: Jobs that an InUseError names.
SHOWN = 10
CANCELLED_AT_ONCE = 1000


class InUseError(Exception):
    """Live jobs read this file."""

    def __init__(self, jobs: Sequence[UUID]) -> None:
        super().__init__("live jobs read this file")
        self.jobs = tuple(jobs)


@dataclass(frozen=True)
class Filter:
    """What a listing asks for; None means any."""

    name: str | None = None
    content_type: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def add(connection: Connection, stored: StoredObject, created_by: str, traceparent: str | None = None) -> bool:
    """Register an uploaded object. False when the content was there: the first name stays, the new one is kept too.

    For a tenant, what others have is not there.
    """
    with tenancy.unscoped(connection):
        return _add(connection, stored, created_by, traceparent)


def _add(connection: Connection, stored: StoredObject, created_by: str, traceparent: str | None) -> bool:
    blobs.add(connection, [(stored.sha256, stored.sha1, stored.size, stored.object_key)])
    values = {
        "sha256": stored.sha256,
        "name": stored.name,
        "content_type": stored.content_type,
        "created_by": created_by,
    }
    created = db.run(connection, "files.insert", **values) == 1
    db.run(connection, "files.insert_name", **values)
    fresh = db.run(connection, "files.insert_tenant", **values) == 1
    if created:
        events.tell_file(connection, "file.created", stored.sha256, traceparent)
    # Whether others have the same bytes is no tenant's business.
    return fresh or (created and tenancy.of_caller(connection, created_by) == tenancy.NOBODY)


def page(connection: Connection, wanted: Filter, cursor: tuple[datetime, str] | None, limit: int) -> Sequence[db.Row]:
    """Files, newest first, after a cursor `(created_at, sha256)`."""
    time, sha256 = cursor if cursor is not None else (None, None)
    return db.rows(
        connection,
        "files.page",
        name=wanted.name,
        content_type=wanted.content_type,
        created_after=wanted.created_after,
        created_before=wanted.created_before,
        cursor_time=time,
        cursor_hash=sha256,
        limit=limit,
    )


def get(connection: Connection, sha256: str) -> db.Row | None:
    """One uploaded file with all its names."""
    return db.row(connection, "files.get", sha256=sha256)


def delete(connection: Connection, sha256: str, traceparent: str | None = None, tenant: str = "") -> bool:
    """Forget an upload; its object goes when nothing else names it. Raises InUseError while live jobs read it.

    A tenant forgets what is his; whoever else has uploaded the same keeps it. The transaction is nobody's.
    """
    db.rows(connection, "blobs.lock", sha256=[sha256])
    users = _users(connection, sha256, SHOWN, tenant)
    if users:
        raise InUseError(users)
    if tenant:
        db.run(connection, "files.forget", sha256=sha256, tenant=tenant)
        if db.row(connection, "files.claimed", sha256=sha256) is not None:
            return True
    events.tell_file(connection, "file.deleted", sha256, traceparent)
    deleted = db.run(connection, "files.delete", sha256=sha256) == 1
    if deleted:
        db.run(connection, "blobs.let_go", sha256=[sha256])
    return deleted


def cancel_users(connection: Connection, sha256: str, tenant: str = "") -> None:
    """Cancel the live jobs that read a file: those that wait end at once, those that run within seconds."""
    for job_id in _users(connection, sha256, CANCELLED_AT_ONCE, tenant):
        jobs.cancel(connection, job_id)


def _users(connection: Connection, sha256: str, limit: int, tenant: str) -> list[UUID]:
    return [row["id"] for row in db.rows(connection, "files.users", sha256=sha256, limit=limit, tenant=tenant)]
