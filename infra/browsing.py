"""Looking around, for people: lists with more ways to choose than the API has, each bounded whatever the size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from infra.ids import first_of

LOOKS = 50_000
"""So far back a list looks for what has no index."""
FAILURES = 3000
CLOCKS = timedelta(minutes=5)
"""So far the clock of whoever makes ids may be from the database's."""


@dataclass(frozen=True)
class Chosen:
    """Which jobs; None means any."""

    state: str | None = None
    kind: str | None = None
    submitted_by: str | None = None
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def bounded(self) -> bool:
        """Whether something without an index of its own is asked for: then a list looks back LOOKS jobs."""
        return any((self.submitted_by, self.error_code, self.created_after, self.created_before))


def jobs(connection: Connection, chosen: Chosen, before: UUID | None, limit: int) -> Sequence[db.Row]:
    """Jobs, newest first, older than the job `before`.

    Our ids tell their time, so a list between two times begins where it should. Jobs whose producers chose ids that
    tell none are left out of lists that have an end.
    """
    after, end = chosen.created_after, chosen.created_before
    return db.rows(
        connection,
        "browsing.jobs",
        state=chosen.state,
        kind=chosen.kind,
        submitted_by=chosen.submitted_by,
        error_code=chosen.error_code,
        created_after=after,
        created_before=end,
        low=first_of(after - CLOCKS) if after is not None else None,
        high=first_of(end + CLOCKS) if end is not None else None,
        before=before,
        looks=LOOKS if chosen.bounded else limit,
        limit=limit,
    )


def of_file(connection: Connection, sha256: str, limit: int) -> Sequence[db.Row]:
    """Jobs that read a file, newest first."""
    return db.rows(connection, "browsing.of_file", sha256=sha256, limit=limit)


def makers_of_file(connection: Connection, sha256: str, limit: int) -> Sequence[db.Row]:
    """Jobs that made a file, and under which name."""
    return db.rows(connection, "browsing.makers_of_file", sha256=sha256, limit=limit)


def children(connection: Connection, parent_id: UUID, limit: int) -> Sequence[db.Row]:
    """Jobs that a job asked for, newest first."""
    return db.rows(connection, "browsing.children", parent_id=parent_id, limit=limit)


def inputs(connection: Connection, job_id: UUID) -> Sequence[db.Row]:
    """Files that a job reads, with what is known about each."""
    return db.rows(connection, "browsing.inputs", job_id=job_id)


def failures(connection: Connection, limit: int) -> Sequence[db.Row]:
    """The newest failed jobs by cause."""
    return db.rows(connection, "browsing.failures", looks=FAILURES, limit=limit)


def failed_ids(connection: Connection, kind: str, error_code: str, limit: int) -> list[UUID]:
    """The newest jobs that failed for one cause."""
    found = db.rows(connection, "browsing.failed_ids", kind=kind, error_code=error_code, looks=FAILURES, limit=limit)
    return [row["id"] for row in found]


def facts(connection: Connection, before: int, types: str | None, limit: int) -> Sequence[db.Row]:
    """Facts with a number below `before`, newest first, among the nearest LOOKS."""
    return db.rows(connection, "browsing.facts", before=before, types=types, looks=LOOKS, limit=limit)


def attention(connection: Connection) -> db.Row:
    """What somebody should look at, besides jobs: counts by what is wrong."""
    return db.rows(connection, "browsing.attention", most=FAILURES)[0]
