"""The state of the whole system at a glance. Every count is bounded, so that a look costs milliseconds at any size."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from infra import db
from infra.topology import queue_of
from schemas.registry import KINDS, Consumer
from schemas.states import JobState

COUNTED = 10_000
"""Up to here jobs of one state are counted; one more says that there are more."""
LOOKED_AT = 10_000
"""So many of the jobs that ended last make the picture of the last hour."""


def states(connection: Connection) -> Mapping[str, int]:
    """Jobs by state, each counted up to COUNTED + 1."""
    found = db.rows(connection, "overview.states", states=[state.value for state in JobState], most=COUNTED + 1)
    return {row["state"]: row["jobs"] for row in found}


def failed_lately(connection: Connection) -> int:
    """Jobs that failed within a day, counted up to COUNTED + 1."""
    return int(db.rows(connection, "overview.failed_lately", most=COUNTED + 1)[0]["jobs"])


def oldest(connection: Connection) -> Mapping[str, float]:
    """By consumer, the seconds that a job has waited there longest. Consumers for which none waits are left out."""
    found = db.rows(connection, "overview.oldest", consumers=[consumer.value for consumer in Consumer])
    return {row["consumer"]: float(row["seconds"]) for row in found}


def queues(connection: Connection) -> list[dict[str, Any]]:
    """For each consumer its queue, its kinds, the leader's last count, and how long a job has waited."""
    waited = oldest(connection)
    counted = {row["consumer"]: row for row in db.rows(connection, "overview.backlogs")}
    nothing = {"queued": 0, "running": 0, "counted_at": None, "old": False}
    return [
        {
            "consumer": consumer.value,
            "name": queue_of(consumer),
            "kinds": [kind.name for kind in KINDS.values() if kind.consumer is consumer],
            "oldest_seconds": waited.get(consumer.value),
            **(counted.get(consumer.value) or nothing),
        }
        for consumer in Consumer
    ]


def finished(connection: Connection) -> Sequence[db.Row]:
    """Ends of jobs by minutes ago: `minute`, `succeeded`, `others`, `wait` (p95, seconds)."""
    return db.rows(connection, "overview.finished", most=LOOKED_AT)


def workers(connection: Connection) -> Sequence[db.Row]:
    """Workers that hold claims, with their jobs."""
    return db.rows(connection, "overview.workers")


def lately_of_workers(connection: Connection) -> Mapping[str, db.Row]:
    """What each worker has ended within the hour."""
    return {row["worker"]: row for row in db.rows(connection, "overview.lately_of_workers", most=LOOKED_AT)}
