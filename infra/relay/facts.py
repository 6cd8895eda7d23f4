"""Number the events without a gap, and publish them in that order.

An event is sent at least once: after a failure everything from the first unconfirmed one on is sent again, and `seq`
tells a subscriber what it has seen. An event that a subscriber's full queue has refused repeatedly counts as
delivered, because one subscriber must not withhold the facts from the others.

What nobody listens to is not sent. The first event of each type in a batch asks: it is published `mandatory`, and the
broker returns it when no queue is bound for its type. The rest of that type in the batch then counts as delivered.
That loses nothing: all of the batch had happened before the broker answered, so a queue that is bound later was bound
after the facts, and one that was bound before would have had the first of them. The next batch asks again.
"""

from collections.abc import Sequence
from functools import partial

import structlog
from sqlalchemy import Engine

from infra import db, events, metrics
from infra.publisher import Confirmation
from infra.relay.leadership import Leadership
from infra.relay.outlet import Outlet
from infra.relay.transact import transact
from infra.topology import EVENTS
from schemas.wire import Message, event_message

log = structlog.get_logger()

BATCH = 2000
#: As many as the publisher has in flight: a longer run would only stand in line, which costs.
RUN = 500
TRIES = 3
DELIVERED = frozenset({Confirmation.ACKED, Confirmation.RETURNED, Confirmation.NACKED})


class Facts:
    """The events, on their way from the table to the exchange."""

    def __init__(self, engine: Engine, leadership: Leadership, outlet: Outlet) -> None:
        self._engine = engine
        self._leadership = leadership
        self._outlet = outlet
        self._heard: set[str] = set()
        """Types that somebody listened to when it was asked last: they are read whole and sent without waiting."""

    async def publish(self) -> bool:
        """Number a batch, publish a batch; True when there is more that can be done. Raises LostLeadership."""
        numbered = await self._leadership.run(partial(events.number, batch=BATCH))
        if not await self._outlet.open():
            return numbered == BATCH
        rows = await transact(self._engine, events.unpublished, sorted(self._heard), BATCH)
        end, stuck = await self._deliver(rows)
        if end:
            await transact(self._engine, events.mark, rows[end - 1]["seq"])
        return not stuck and (numbered == BATCH or len(rows) == BATCH or end < len(rows))

    async def _deliver(self, rows: Sequence[db.Row]) -> tuple[int, bool]:
        """How many of the rows were delivered, and whether it was the broker that stopped it there."""
        deaf: set[str] = set()
        done = 0
        while run := self._run(rows[done : done + RUN], deaf):
            places = [n for n, row in enumerate(run) if row["type"] not in deaf]
            sent = [run[n] for n in places]
            fates = await self._send(sent)
            failed = next((n for n, fate in zip(places, fates, strict=True) if fate not in DELIVERED), None)
            if failed is not None:
                return done + failed, True
            self._count(len(sent) - fates.count(Confirmation.RETURNED), len(run))
            self._learn(sent, fates, deaf)
            done += len(run)
        return done, False

    def _run(self, rows: Sequence[db.Row], deaf: set[str]) -> Sequence[db.Row]:
        """The rows up to the first that cannot be judged before the broker has answered.

        That is one of a type that the run itself asks for, and any that would be left out behind a question: who has
        just been bound must miss nothing after the first event that reaches him. Empty at the end of the rows, and
        where the rest must be read anew because somebody has begun to listen.
        """
        asks = False
        for n, row in enumerate(rows):
            left_out = row["type"] in deaf
            if (left_out and asks) or not (left_out or row["whole"]):
                return rows[:n]
            asks |= not left_out and row["type"] not in self._heard
        return rows

    def _learn(self, sent: Sequence[db.Row], fates: Sequence[Confirmation], deaf: set[str]) -> None:
        for row, fate in zip(sent, fates, strict=True):
            if fate is Confirmation.RETURNED:
                deaf.add(row["type"])
                self._heard.discard(row["type"])
            elif row["type"] not in self._heard:
                self._heard.add(row["type"])
                deaf.clear()  # somebody new: perhaps he listens to those, too

    @staticmethod
    def _count(heard: int, of: int) -> None:
        metrics.events_published_total.labels("sent").inc(heard)
        metrics.events_published_total.labels("unheard").inc(of - heard)

    async def _send(self, rows: Sequence[db.Row]) -> list[Confirmation]:
        messages = [_message(row) for row in rows]
        fates = await self._outlet.publish(EVENTS, messages)
        for _ in range(TRIES - 1):
            refused = [n for n, fate in enumerate(fates) if fate is Confirmation.NACKED]
            if not refused:
                return fates
            again = await self._outlet.publish(EVENTS, [messages[n] for n in refused])
            for n, fate in zip(refused, again, strict=True):
                fates[n] = fate
        if Confirmation.NACKED in fates:
            number, first = fates.count(Confirmation.NACKED), rows[fates.index(Confirmation.NACKED)]["seq"]
            log.warning(
                "a subscriber's queue refuses events", action="relay.events_refused", events=number, first_seq=first
            )
        return fates


def _message(row: db.Row) -> Message:
    return event_message(row["seq"], row["type"], row["job_id"], row["data"], row["occurred_at"], row["traceparent"])
