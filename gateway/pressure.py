"""When to say no: the broker has raised an alarm, a queue is full, too much waits, or somebody asks too often.

Said before anything is committed, with the time to come back. A broker that is merely away is no reason: what is
committed then is published when it is back.
"""

import asyncio
import time
from dataclasses import dataclass, field

import anyio.to_thread
import structlog
from sqlalchemy import Connection, Engine

from gateway.problems import RETRY_SECONDS, Problem, unavailable
from infra import db, metrics
from infra.publisher import Publisher
from schemas.registry import Consumer

log = structlog.get_logger()

LOOK_SECONDS = 1.0


class Pressure:
    """What is known about the load behind the gateway."""

    def __init__(self, engine: Engine, publisher: Publisher, backlog_limit: int) -> None:
        self._engine = engine
        self._publisher = publisher
        self._backlog_limit = backlog_limit
        self._backlogs: dict[str, int] = {}
        self._full: dict[Consumer, float] = {}

    def check(self, consumer: Consumer) -> None:
        """Raises a 503 problem when a job for this consumer is better asked for later."""
        problem = self.refusal(consumer)
        if problem is not None:
            raise problem

    def refusal(self, consumer: Consumer) -> Problem | None:
        """Why a job for this consumer is better asked for later; None when it is not."""
        problem = None
        if self._publisher.blocked:
            problem = unavailable("broker_blocked", "The broker has raised an alarm and takes nothing for now.")
        elif self._backlogs.get(consumer, 0) >= self._backlog_limit:
            problem = unavailable("backlog_full", "Too many jobs of this kind wait already.")
        elif self._is_full(consumer):
            problem = unavailable("queue_full", "The queue of this kind is full.")
        if problem is not None:
            metrics.jobs_refused_total.labels(problem.code).inc()
        return problem

    def heard(self, consumer: Consumer, taken: bool) -> None:
        """The broker has taken a message for this consumer, or has refused it because its queue is full."""
        if taken:
            if self._full.pop(consumer, None) is not None:
                log.info("a queue takes jobs again", action="pressure.eased", consumer=consumer.value)
        else:
            if consumer not in self._full:
                log.warning("a queue is full", action="pressure.full", consumer=consumer.value)
            self._full[consumer] = time.monotonic() + RETRY_SECONDS

    async def watch(self) -> None:
        """Keep looking at what waits, until cancelled."""
        while True:
            try:
                self._backlogs = await anyio.to_thread.run_sync(self._look)
            except db.AWAY as error:
                log.warning("the backlogs are not known", action="pressure.blind", reason=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    def _is_full(self, consumer: Consumer) -> bool:
        """Whether its queue refused a message and has taken none since. Now and then, one job is let through to see."""
        until = self._full.get(consumer)
        if until is None:
            return False
        if time.monotonic() < until:
            return True
        self._full[consumer] = time.monotonic() + RETRY_SECONDS
        return False

    def _look(self) -> dict[str, int]:
        with self._engine.connect() as connection:
            return _waiting(connection)


@dataclass
class Rates:
    """A bucket of requests for each caller, filled with `per_second`; it holds what a second brings. 0 is no limit."""

    per_second: float
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str) -> None:
        """Count a request. Raises a 429 problem when the bucket is empty."""
        if not self.per_second:
            return
        most = max(1.0, self.per_second)
        now = time.monotonic()
        left, then = self._buckets.get(name, (most, now))
        left = min(most, left + (now - then) * self.per_second)
        if left < 1:
            metrics.jobs_refused_total.labels("rate_limited").inc()
            wait = str(max(1, round((1 - left) / self.per_second)))
            raise Problem(429, "rate_limited", "You ask too often.", headers={"Retry-After": wait})
        self._buckets[name] = left - 1, now


def _waiting(connection: Connection) -> dict[str, int]:
    return {row["consumer"]: row["queued"] for row in db.rows(connection, "backlogs.queued")}
