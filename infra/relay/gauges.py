"""The leader's gauges: how many jobs live, how long they wait. What autoscaling looks at."""

from sqlalchemy import Connection, Engine

from infra import db, metrics
from infra.relay.transact import transact
from schemas.registry import Consumer
from schemas.states import LIVE


class Gauges:
    """A look at the live jobs; the finished ones are never counted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def look(self) -> bool:
        """Set every gauge."""
        live, lag = await transact(self._engine, _look)
        counted = {(row["consumer"], row["state"]): row["jobs"] for row in live}
        oldest = {row["consumer"]: float(row["oldest_seconds"]) for row in live if row["state"] == "queued"}
        for consumer in Consumer:
            for state in LIVE:
                metrics.jobs_state.labels(consumer.value, state.value).set(counted.get((consumer, state), 0))
            metrics.jobs_oldest_queued_seconds.labels(consumer.value).set(oldest.get(consumer, 0))
        metrics.events_lag_seconds.set(lag)
        return False


def begin() -> None:
    """This process leads now."""
    metrics.relay_leader.set(1)


def forget() -> None:
    """It no longer does: another relay shows these now, and a sum over all must be right."""
    metrics.relay_leader.set(0)
    metrics.jobs_state.clear()
    metrics.jobs_oldest_queued_seconds.clear()
    metrics.events_lag_seconds.set(0)


def _look(connection: Connection) -> tuple[list[db.Row], float]:
    lag = db.row(connection, "outbox.events_lag")
    return list(db.rows(connection, "outbox.live")), float(lag["seconds"]) if lag is not None else 0.0
