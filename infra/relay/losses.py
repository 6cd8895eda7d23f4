"""Find jobs whose message was lost: a purged or deleted queue, a broker that came back empty. The row is the truth."""

from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine

from infra import db, metrics
from infra.relay.outlet import Outlet
from infra.relay.transact import transact
from infra.settings import Settings
from infra.topology import queue_of
from schemas.registry import Consumer, Lane, kinds_of

log = structlog.get_logger()

BATCH = 1000


class Losses:
    """Compares what should wait in a queue with what does."""

    def __init__(self, settings: Settings, engine: Engine, outlet: Outlet) -> None:
        self._seconds = settings.republish_seconds
        self._engine = engine
        self._outlet = outlet

    async def find(self) -> bool:
        """Have the jobs published again whose messages are missing; True when there may be more."""
        found = False
        for consumer in Consumer:
            if await self._outlet.open():
                found |= await self._find_for(consumer)
        return found

    async def _find_for(self, consumer: Consumer) -> bool:
        # The moment, then the depth, then the count: every job published until then had its message in the queue, and
        # what is published or consumed between the looks makes the loss look smaller, never larger.
        moment = await transact(self._engine, _now)
        depth = await self._outlet.depth(queue_of(consumer))
        if depth is None:
            self._outlet.doubt()
        elif depth and _fast(consumer):
            return False  # a message may have hundreds of jobs: only an empty queue says what is missing
        lost = await transact(self._engine, _forget, consumer, moment, self._seconds, depth or 0)
        if lost:
            self._outlet.doubt()  # whatever lost the messages may have taken a binding with it
            metrics.jobs_reconciled_total.labels(consumer.value).inc(lost)
            log.warning("messages were lost", action="relay.lost", consumer=consumer.value, jobs=lost)
        return lost == BATCH


def _fast(consumer: Consumer) -> bool:
    return any(kind.lane is Lane.FAST for kind in kinds_of(consumer))


def _now(connection: Connection) -> datetime:
    moment: datetime = db.rows(connection, "outbox.now")[0]["moment"]
    return moment


def _forget(connection: Connection, consumer: Consumer, moment: datetime, seconds: float, depth: int) -> int:
    return db.run(
        connection, "outbox.forget", consumer=consumer.value, moment=moment, age=seconds, depth=depth, batch=BATCH
    )
