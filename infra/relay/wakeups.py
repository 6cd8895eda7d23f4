"""Publish the jobs that nobody has published yet: left by the gateway, retried, promoted, rescued or forgotten."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from infra import db
from infra.publisher import Confirmation
from infra.relay.outlet import Outlet
from infra.relay.transact import transact
from infra.topology import JOBS
from schemas.registry import Consumer
from schemas.wire import job_message

BATCH = 200
# So long a new job is left to the gateway that has just committed it.
GATEWAY_SECONDS = 2.0


class Wakeups:
    """A wake-up per job, for each consumer on its own: a queue that refuses holds up no other."""

    def __init__(self, engine: Engine, outlet: Outlet) -> None:
        self._engine = engine
        self._outlet = outlet

    async def publish(self) -> bool:
        """Publish a batch for every consumer; True when one of them has more that goes out."""
        if not await self._outlet.open():
            return False
        return any(await asyncio.gather(*(self._publish_for(consumer) for consumer in Consumer)))

    async def _publish_for(self, consumer: Consumer) -> bool:
        rows = await transact(self._engine, _unpublished, consumer)
        messages = [job_message(r["id"], r["kind"], r["params"], r["priority"], r["traceparent"]) for r in rows]
        fates = await self._outlet.publish(JOBS, messages)
        sent = [row for row, fate in zip(rows, fates, strict=True) if fate is Confirmation.ACKED]
        if Confirmation.RETURNED in fates:
            self._outlet.doubt()
        if sent:
            await transact(self._engine, _mark, sent)
        return len(sent) == BATCH


def _unpublished(connection: Connection, consumer: Consumer) -> Sequence[db.Row]:
    return db.rows(connection, "outbox.unpublished", consumer=consumer.value, age=GATEWAY_SECONDS, batch=BATCH)


def _mark(connection: Connection, sent: Sequence[db.Row]) -> None:
    db.run(connection, "outbox.mark", ids=[row["id"] for row in sent], queued_at=[row["queued_at"] for row in sent])
