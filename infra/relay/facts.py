"""Number the events without a gap, and publish them in that order.

An event is sent at least once: after a failure everything from the first unconfirmed one on is sent again, and `seq`
tells a subscriber what it has seen. An event that no queue is bound for counts as delivered; so does one that a
subscriber's full queue has refused repeatedly, because one subscriber must not withhold the facts from the others.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import Connection, Engine

from infra import db
from infra.publisher import Confirmation
from infra.relay.leadership import Leadership
from infra.relay.outlet import Outlet
from infra.relay.transact import transact
from infra.topology import EVENTS
from schemas.wire import event_message

log = structlog.get_logger()

BATCH = 1000
TRIES = 3
DELIVERED = frozenset({Confirmation.ACKED, Confirmation.RETURNED, Confirmation.NACKED})


class Facts:
    """The events, on their way from the table to the exchange."""

    def __init__(self, engine: Engine, leadership: Leadership, outlet: Outlet) -> None:
        self._engine = engine
        self._leadership = leadership
        self._outlet = outlet

    async def publish(self) -> bool:
        """Number a batch, publish a batch; True when there is more that goes out. Raises LostLeadership."""
        await self._leadership.run(_number)
        if not await self._outlet.open():
            return False
        rows = await transact(self._engine, _unpublished)
        delivered = await self._deliver(rows)
        if delivered:
            await transact(self._engine, _mark, [row["id"] for row in delivered])
        return len(delivered) == BATCH

    async def _deliver(self, rows: Sequence[db.Row]) -> Sequence[db.Row]:
        """The rows that were delivered, up to the first that was not."""
        fates = await self._send(rows)
        for _ in range(TRIES - 1):
            refused = [n for n, fate in enumerate(fates) if fate is Confirmation.NACKED]
            if not refused:
                break
            for n, fate in zip(refused, await self._send([rows[n] for n in refused]), strict=True):
                fates[n] = fate
        if Confirmation.NACKED in fates:
            log.warning(
                "a subscriber's queue refuses events",
                action="relay.events_refused",
                events=fates.count(Confirmation.NACKED),
                first_seq=rows[fates.index(Confirmation.NACKED)]["seq"],
            )
        end = next((n for n, fate in enumerate(fates) if fate not in DELIVERED), len(rows))
        return rows[:end]

    async def _send(self, rows: Sequence[db.Row]) -> list[Confirmation]:
        messages = [
            event_message(r["seq"], r["type"], r["job_id"], r["data"], r["occurred_at"], r["traceparent"]) for r in rows
        ]
        return await self._outlet.publish(EVENTS, messages, mandatory=False)


def _number(connection: Connection) -> None:
    db.run(connection, "outbox.number_events", batch=BATCH)


def _unpublished(connection: Connection) -> Sequence[db.Row]:
    return db.rows(connection, "outbox.unpublished_events", batch=BATCH)


def _mark(connection: Connection, ids: Sequence[int]) -> None:
    db.run(connection, "outbox.mark_events", ids=ids)
