"""A claim on a job, from first to last: take it, keep it alive, and end it in exactly one way.

Every statement names the claim's token. Zero rows means that the claim is lost: the caller stops and writes nothing.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db, events, steps
from infra.steps import StoredObject
from schemas.registry import KINDS, Limits


@dataclass(frozen=True)
class Claim:
    """The right to run one attempt of one job, for as long as it is renewed."""

    id: UUID
    kind: str
    params: dict[str, Any]
    version: int
    attempt: int
    max_attempts: int
    token: int
    traceparent: str | None
    waited_seconds: float
    priority: int = 0
    submitted_by: str = ""
    concurrency_key: str | None = None
    crowded: bool = False
    """Whether only so many of the kind run at once."""

    @property
    def counted(self) -> bool:
        """Whether somebody may be waiting for this claim to end."""
        return self.crowded or self.concurrency_key is not None


@dataclass(frozen=True)
class Pulse:
    """The answer to a heartbeat: the claim stands, and whether the job's end was asked for.

    Not `renewed` while another transaction holds the row, mostly a checkpoint of this very attempt: the next beat will.
    """

    id: UUID
    cancelled: bool
    renewed: bool


def claim(
    connection: Connection, job_id: UUID, worker: str, lease_seconds: float, crowded: bool = False
) -> Claim | None:
    """Take this very job, or None when it is not queued. Who has no reason to want this one asks `infra.line`."""
    row = db.row(connection, "claims.claim", id=job_id, worker=worker, lease=lease_seconds)
    return Claim(**row, crowded=crowded) if row is not None else None


def input_of(connection: Connection, held: Claim, sha256: str) -> db.Row | None:
    """`object_key` and `name` of one of the job's inputs; None when the job has no such input."""
    return db.row(connection, "claims.input", id=held.id, sha256=sha256)


def beat(connection: Connection, claims: Sequence[Claim], lease_seconds: float) -> dict[UUID, Pulse]:
    """Renew claims in one statement, without waiting. A claim that is missing from the answer is lost."""
    answered = db.rows(
        connection, "claims.beat", ids=[c.id for c in claims], tokens=[c.token for c in claims], lease=lease_seconds
    )
    return {row["id"]: Pulse(**row) for row in answered}


def progress(connection: Connection, held: Claim, percent: float) -> bool:
    """Note how far the work is. It never goes back and stays below 100 until the job has succeeded."""
    return db.run(connection, "claims.progress", id=held.id, token=held.token, progress=percent) == 1


def succeed(connection: Connection, held: Claim, result: dict[str, Any], outputs: Sequence[StoredObject]) -> str | None:
    """Finish with a result. A cancel that was accepted earlier wins. Returns the state reached, None when fenced."""
    row = db.row(connection, "claims.hold", id=held.id, token=held.token)
    if row is None:
        return None
    if row["cancelled"]:
        return cancel(connection, held)
    steps.add_outputs(connection, held.id, outputs, step=None, replace=row["discarding"])
    events.tell_artifacts(connection, held.id)
    db.run(connection, "claims.succeed", id=held.id, token=held.token, result=db.document(result))
    return "succeeded"


def fail(connection: Connection, held: Claim, code: str, message: str) -> str | None:
    """Finish for good without a result; what earlier steps made is let go."""
    return _end(connection, held, "fail", "failed", code=code, message=message)


def cancel(connection: Connection, held: Claim) -> str | None:
    """End a running job whose cancel was asked for."""
    return _end(connection, held, "cancel", "cancelled")


def retry(connection: Connection, held: Claim, code: str, message: str) -> str | None:
    """Try again after a back-off, or fail when the attempts are spent. A cancel that was accepted earlier wins."""
    row = db.row(connection, "claims.hold", id=held.id, token=held.token)
    if row is None:
        return None
    if row["cancelled"]:
        return cancel(connection, held)
    if row["attempt"] >= row["max_attempts"]:
        return fail(connection, held, code, message)
    delay = back_off(KINDS[held.kind].limits, row["attempt"])
    db.run(connection, "claims.retry", id=held.id, token=held.token, code=code, message=message, delay=delay)
    return "scheduled"


def release(connection: Connection, held: Claim) -> str | None:
    """Hand the job back at shutdown: at once, without charging the attempt. A cancel that was accepted earlier wins."""
    row = db.row(connection, "claims.hold", id=held.id, token=held.token)
    if row is None:
        return None
    if row["cancelled"]:
        return cancel(connection, held)
    db.run(connection, "claims.release", id=held.id, token=held.token)
    return "queued"


def forsake(connection: Connection, worker: str) -> int:
    """Let the claims of a worker that is known to be dead expire now. Returns how many it still had."""
    return db.run(connection, "claims.forsake", worker=worker)


def rescue(connection: Connection, batch: int) -> dict[str, int]:
    """Take expired claims away from consumers that went silent. Returns how many reached which state."""
    reached: dict[str, int] = {}
    for row in db.rows(connection, "claims.expired", batch=batch):
        state = _rescue_one(connection, row)
        reached[state] = reached.get(state, 0) + 1
    return reached


def back_off(limits: Limits, attempt: int) -> float:
    """Seconds before the next attempt: doubling, bounded, with up to a quarter of jitter so that retries spread out."""
    delay: float = min(limits.first_retry_seconds * 2 ** (attempt - 1), limits.longest_retry_seconds)
    return delay * random.uniform(1.0, 1.25)  # noqa: S311 - jitter, not a secret


def _rescue_one(connection: Connection, row: db.Row) -> str:
    held = {"id": row["id"], "token": row["token"]}
    if row["cancelled"]:
        db.run(connection, "claims.cancel", **held)
        steps.discard(connection, row["id"])
        return "cancelled"
    if row["attempt"] >= row["max_attempts"]:
        message = "The consumer that ran the job went silent, and no attempts are left."
        db.run(connection, "claims.fail", **held, code="lease_expired", message=message)
        steps.discard(connection, row["id"])
        return "failed"
    db.run(connection, "claims.rescue", **held)
    return "queued"


def _end(connection: Connection, held: Claim, query: str, state: str, **values: Any) -> str | None:
    if db.run(connection, f"claims.{query}", id=held.id, token=held.token, **values) == 0:
        return None
    steps.discard(connection, held.id)
    return state
