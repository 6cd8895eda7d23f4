"""What is old goes: finished jobs with all that they made, uploads that nobody reads, messages dealt with, keys.

When the store is too full, what jobs have made goes before its time, the oldest first.

In small batches, so that nobody waits for it. A job's outputs go first, and with them the objects that nothing else
names; so for a moment an old job may show fewer of them than it made. Events have a term of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import blobs, db, files
from infra.settings import Settings

JOBS = 500
OUTPUTS = 5000
FILES = 200
SHORTEST_PERIOD, LONGEST_PERIOD = 0.1, 60.0
#: As many batches at once for somebody who waits: they are held until the end.
ROUNDS = 10


@dataclass(frozen=True)
class Terms:
    """Seconds that finished jobs, those of single `kinds`, and unread uploads are kept; 0 is for ever.

    `storage`: bytes of content above which the store is too full; 0 is no limit.
    """

    jobs: float = 0
    kinds: Mapping[str, float] = field(default_factory=dict)
    files: float = 0
    storage: int = 0


@dataclass(frozen=True)
class Round:
    """What went: jobs and uploads, bytes in the store if they were counted, and whether there may be more to go."""

    jobs: int = 0
    files: int = 0
    bytes: int = 0
    more: bool = False


def terms_of(settings: Settings) -> Terms:
    """As the settings say."""
    kinds = {kind: float(seconds) for kind, seconds in settings.retention_kinds.items()}
    return Terms(settings.retention_seconds, kinds, settings.file_seconds, settings.storage_limit)


def period(terms: Terms) -> float:
    """Seconds from one round to the next: short where terms are."""
    shortest = min([LONGEST_PERIOD, *(term / 4 for term in (terms.jobs, terms.files, *terms.kinds.values()) if term)])
    return max(shortest, SHORTEST_PERIOD)


def let_go(connection: Connection, terms: Terms) -> Round:
    """Delete a batch of everything that is older than its term, or that has to make room."""
    ids = _finished(connection, terms)
    more = delete(connection, ids)
    parked = db.run(connection, "retention.parked", age=terms.jobs, batch=JOBS) if terms.jobs else 0
    repeats = db.run(connection, "repeats.forget", age=terms.jobs, batch=JOBS) if terms.jobs else 0
    gone = _files(connection, terms)
    crowd, crowded = _make_room(connection, terms)
    again = more or crowded or JOBS in {parked, repeats} or gone == FILES
    return Round(len(ids) + len(crowd), gone, more=again)


def rehearse(connection: Connection, terms: Terms) -> Round:
    """What `go_on` would do: done, and undone."""
    rehearsal = connection.begin_nested()
    try:
        return go_on(connection, terms)
    finally:
        rehearsal.rollback()


def go_on(connection: Connection, terms: Terms) -> Round:
    """Several rounds of `let_go` at once, and the bytes that they freed."""
    rounds = [let_go(connection, terms)]
    while rounds[-1].more and len(rounds) < ROUNDS:
        rounds.append(let_go(connection, terms))
    erased = int(db.rows(connection, "retention.erased")[0]["bytes"])
    return Round(sum(r.jobs for r in rounds), sum(r.files for r in rounds), erased, rounds[-1].more)


def stored(connection: Connection) -> int:
    """Bytes of all content that is kept."""
    return int(db.rows(connection, "retention.stored")[0]["bytes"])


def delete(connection: Connection, ids: Sequence[UUID]) -> bool:
    """Delete finished jobs with all that they made, outputs first. True when there may be more."""
    outputs = db.rows(connection, "retention.outputs", ids=ids, batch=OUTPUTS) if ids else []
    blobs.let_go(connection, [row["sha256"] for row in outputs])
    if ids:
        db.run(connection, "retention.delete", ids=ids)
    return len(ids) == JOBS or len(outputs) == OUTPUTS


def _finished(connection: Connection, terms: Terms) -> list[UUID]:
    ids: list[UUID] = []
    if terms.jobs:
        ids += _ids(connection, "finished", age=terms.jobs, but=list(terms.kinds), batch=JOBS)
    for kind, age in terms.kinds.items():
        room = JOBS - len(ids)
        ids += _ids(connection, "finished_of_kind", kind=kind, age=age, batch=room) if age and room else []
    return ids


def _files(connection: Connection, terms: Terms) -> int:
    """Uploads that no job has read for long. One that a job is just beginning to read stays."""
    if not terms.files:
        return 0
    found = db.rows(connection, "retention.unread", age=terms.files, batch=FILES)
    return sum(_forgotten(connection, row["sha256"]) for row in found)


def _forgotten(connection: Connection, sha256: str) -> bool:
    try:
        return files.delete(connection, sha256)
    except files.InUseError:
        return False


def _make_room(connection: Connection, terms: Terms) -> tuple[list[UUID], bool]:
    """The oldest finished jobs, as many as have made what is too much."""
    excess = stored(connection) - terms.storage if terms.storage else 0
    if excess <= 0:
        return [], False
    ids = _ids(connection, "oldest", excess=excess, batch=JOBS)
    delete(connection, ids)
    return ids, bool(ids) and stored(connection) > terms.storage


def _ids(connection: Connection, query: str, **values: Any) -> list[UUID]:
    return [row["id"] for row in db.rows(connection, f"retention.{query}", **values)]
