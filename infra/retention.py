"""What is old enough goes: finished jobs with all that they made and read, parked messages that are dealt with, keys.

In small batches, so that nobody waits for it. A job's outputs go first, and with them the objects that nothing else
names; so for a moment an old job may show fewer of them than it made. Events have a term of their own.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import blobs, db

JOBS = 500
OUTPUTS = 5000


def let_go(connection: Connection, age_seconds: float) -> bool:
    """Delete a batch of what is older than that. True when there may be more."""
    ids = [row["id"] for row in db.rows(connection, "retention.finished", age=age_seconds, batch=JOBS)]
    more = delete(connection, ids)
    parked = db.run(connection, "retention.parked", age=age_seconds, batch=JOBS)
    repeats = db.run(connection, "repeats.forget", age=age_seconds, batch=JOBS)
    return more or JOBS in {parked, repeats}


def delete(connection: Connection, ids: Sequence[UUID]) -> bool:
    """Delete finished jobs with all that they made, outputs first. True when there may be more."""
    outputs = db.rows(connection, "retention.outputs", ids=ids, batch=OUTPUTS) if ids else []
    blobs.let_go(connection, [row["sha256"] for row in outputs])
    if ids:
        db.run(connection, "retention.delete", ids=ids)
    return len(ids) == JOBS or len(outputs) == OUTPUTS
