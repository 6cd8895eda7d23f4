"""The leader's gauges: how many jobs live, how long they wait, how far items are. What autoscaling looks at."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Gauge
from sqlalchemy import Connection, Engine

from infra import db, events, metrics, parked
from infra.relay.transact import transact
from schemas.registry import Consumer
from schemas.states import LIVE, JobState

HELD = ("paused", "concurrency", "rate")
MOST_DELIVERIES = 100_000
MOST_PARKED = 10_000
#: So many collections, the newest, are labels.
MOST_COLLECTIONS = 50


@dataclass(frozen=True)
class Look:
    """What one look has found: rows by consumer, jobs by reason, seconds, and numbers that are bounded."""

    jobs: Counter[tuple[str, str]]
    oldest: dict[str, float]
    held: dict[str, int]
    lag: float
    deliveries: int
    parked: int
    items: Sequence[db.Row]
    handled: Sequence[db.Row]
    leases: Sequence[db.Row]


class Gauges:
    """A look at the live jobs; the finished ones are never counted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._before: Look | None = None

    async def look(self) -> bool:
        """Set every gauge, and note the count of what waits for the front door."""
        seen = await transact(self._engine, _look)
        for consumer in Consumer:
            for state in LIVE:
                metrics.jobs_state.labels(consumer.value, state.value).set(seen.jobs[consumer, state])
            metrics.jobs_oldest_queued_seconds.labels(consumer.value).set(seen.oldest.get(consumer, 0))
        for reason in HELD:
            metrics.jobs_held.labels(reason).set(seen.held.get(reason, 0))
        metrics.events_lag_seconds.set(seen.lag)
        metrics.webhook_deliveries_pending.set(seen.deliveries)
        metrics.messages_parked.set(seen.parked)
        _tell_items(seen, self._before)
        self._before = seen
        return False


def begin() -> None:
    """This process leads now."""
    metrics.relay_leader.set(1)


def forget() -> None:
    """It no longer does: another relay shows these now, and a sum over all must be right."""
    metrics.relay_leader.set(0)
    metrics.jobs_state.clear()
    metrics.jobs_oldest_queued_seconds.clear()
    metrics.jobs_held.clear()
    metrics.events_lag_seconds.set(0)
    metrics.webhook_deliveries_pending.set(0)
    metrics.messages_parked.set(0)
    for gauge in (
        metrics.items_state,
        metrics.items_handled,
        metrics.item_leases_open,
        metrics.item_lease_oldest_seconds,
    ):
        gauge.clear()


def _tell_items(seen: Look, before: Look | None) -> None:
    """What is gone since the look before is taken away; the rest is never away in between."""
    _tell(metrics.items_state, "state", seen.items, before.items if before is not None else ())
    _tell(metrics.items_handled, "what", seen.handled, before.handled if before is not None else ())
    for name in _collections(before) - _collections(seen):
        metrics.item_leases_open.remove(name)
        metrics.item_lease_oldest_seconds.remove(name)
    for row in seen.leases:
        metrics.item_leases_open.labels(row["name"]).set(row["open"])
        metrics.item_lease_oldest_seconds.labels(row["name"]).set(float(row["oldest_seconds"]))


def _tell(gauge: Gauge, label: str, rows: Sequence[db.Row], before: Sequence[db.Row]) -> None:
    """Numbers of items by collection and another label."""
    for name, value in {(row["name"], row[label]) for row in before} - {(row["name"], row[label]) for row in rows}:
        gauge.remove(name, value)
    for row in rows:
        gauge.labels(row["name"], row[label]).set(row["items"])


def _collections(look: Look | None) -> set[str]:
    return {row["name"] for row in look.leases} if look is not None else set()


def _look(connection: Connection) -> Look:
    waiting = db.rows(connection, "gauges.waiting")
    jobs = Counter({(row["consumer"], row["state"]): row["jobs"] for row in db.rows(connection, "gauges.others")})
    jobs.update({(row["consumer"], JobState.QUEUED.value): row["jobs"] for row in waiting})
    _note(connection, jobs)
    return Look(
        jobs=jobs,
        oldest={row["consumer"]: float(row["oldest_seconds"]) for row in waiting},
        held={row["held"]: row["jobs"] for row in db.rows(connection, "gauges.held")},
        lag=events.lag(connection),
        deliveries=db.rows(connection, "gauges.deliveries", bound=MOST_DELIVERIES)[0]["deliveries"],
        parked=parked.open_count(connection, MOST_PARKED),
        items=db.rows(connection, "gauges.items", most=MOST_COLLECTIONS),
        handled=db.rows(connection, "gauges.handled", most=MOST_COLLECTIONS),
        leases=db.rows(connection, "gauges.leases", most=MOST_COLLECTIONS),
    )


def _note(connection: Connection, jobs: Counter[tuple[str, str]]) -> None:
    consumers: Sequence[str] = [consumer.value for consumer in Consumer]
    db.run(
        connection,
        "gauges.note",
        consumer=consumers,
        queued=[jobs[consumer, JobState.QUEUED] for consumer in consumers],
        running=[jobs[consumer, JobState.RUNNING] for consumer in consumers],
    )
