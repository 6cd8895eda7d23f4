"""Jobs of the fast lane: claim, effect and end in one transaction, many at a time.

A batch is bound as one JSON document. A job in it has `id`, `params`, `priority`, `submitted_by`, `traceparent`, and
`result` when it is done. No id may come twice in a call.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from schemas.registry import Kind


class Moved(NamedTuple):
    """What became of a batch: how many jobs moved, how many of them are new, and how long each other one waited."""

    jobs: int
    inserted: int
    waits: Sequence[float]
    """Seconds."""


def succeed(connection: Connection, kind: Kind, worker: str, jobs: Sequence[dict[str, Any]]) -> Moved:
    """Jobs of a kind have been done. Those that are over, not theirs to end or not the same as their row are left."""
    row = db.row(connection, "fast.succeed", **_terms(kind), worker=worker, jobs=db.document(jobs))
    assert row is not None
    return Moved(row["moved"], row["inserted"], row["waits"])


def enter(connection: Connection, kind: Kind, jobs: Sequence[dict[str, Any]]) -> int:
    """Queue those of the jobs that have no row. Returns how many had none."""
    return db.run(connection, "fast.enter", **_terms(kind), jobs=db.document(jobs))


def take(connection: Connection, ids: Collection[UUID]) -> Sequence[db.Row]:
    """Lock the jobs among these that still wait, and show what they are."""
    return db.rows(connection, "fast.take", ids=list(ids))


def end(connection: Connection, worker: str, endings: Sequence[dict[str, Any]]) -> None:
    """End an attempt of jobs that are locked: `id`, `state`, and `result` or `error_code`, `error_message`, `delay`."""
    db.run(connection, "fast.end", worker=worker, endings=db.document(endings))


def hold(connection: Connection, ids: Collection[UUID]) -> int:
    """Keep waiting jobs back until their kind is resumed; the relay publishes them then."""
    return db.run(connection, "fast.hold", ids=list(ids))


def known(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these jobs exist."""
    return {row["id"] for row in db.rows(connection, "fast.known", ids=list(ids))}


def paused(connection: Connection) -> frozenset[str]:
    """The kinds that are paused."""
    return frozenset(row["kind"] for row in db.rows(connection, "fast.paused"))


def _terms(kind: Kind) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "consumer": kind.consumer.value,
        "version": kind.version,
        "max_attempts": kind.limits.attempts,
    }
