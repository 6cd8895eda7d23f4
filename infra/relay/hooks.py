"""Webhooks, the leader's part: find what is wanted, and deliver it. Every webhook has a lane of its own.

A delivery is a row from the moment its fact was seen until the other side has it or nobody tries any more. A crash in
between repeats it; the id of the fact lets the other side drop what it has.
"""

import asyncio
import random
import ssl
from functools import partial
from uuid import UUID

import httpx
import structlog
from sqlalchemy import Connection, Engine

from infra import db, metrics, webhooks
from infra.relay import post
from infra.relay.leadership import Leadership, LostLeadership
from infra.relay.post import Outcome
from infra.relay.transact import transact
from infra.settings import Settings

log = structlog.get_logger()

LOOKS = 2000
#: Deliveries that one webhook has in flight. A lane takes a few times as many, and looks again.
AT_ONCE = 4
LANE = 16
#: Seconds before the next attempt, by how many there were. About four days, then it has failed.
DELAYS = (5, 30, 120, 600, 3600, 6 * 3600, 12 * 3600, 24 * 3600, 24 * 3600, 24 * 3600)


class Hooks:
    """The facts, on their way to those who asked for them by HTTP."""

    def __init__(self, settings: Settings, engine: Engine, leadership: Leadership) -> None:
        self._private = settings.webhook_private
        self._engine = engine
        self._leadership = leadership
        self._lanes: dict[UUID, asyncio.Task[None]] = {}
        self._tls: ssl.SSLContext | None = None

    async def collect(self) -> bool:
        """Note what is to be delivered; True when there are more facts to look at."""
        more = False
        for hook in await transact(self._engine, webhooks.behind):
            more |= await transact(self._engine, webhooks.collect, hook["id"], hook["types"], LOOKS)
        return more

    async def deliver(self) -> bool:
        """Open a lane to every webhook to which something is due. Lanes go on by themselves: none holds up another."""
        for webhook_id in await transact(self._engine, webhooks.with_due):
            if webhook_id not in self._lanes:
                lane = asyncio.create_task(self._serve(webhook_id), name=f"webhook-{webhook_id}")
                lane.add_done_callback(partial(self._closed, webhook_id))
                self._lanes[webhook_id] = lane
        return False

    async def _serve(self, webhook_id: UUID) -> None:
        """Deliver until nothing is due, or until somebody else leads."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        places = asyncio.Semaphore(AT_ONCE)
        async with post.client(self._tls) as http:
            while rows := await self._leadership.run(partial(webhooks.due, webhook_id=webhook_id, batch=LANE)):
                async with asyncio.TaskGroup() as lane:
                    for row in rows:
                        lane.create_task(self._deliver(http, row, places))

    async def _deliver(self, http: httpx.AsyncClient, row: db.Row, places: asyncio.Semaphore) -> None:
        async with places:
            outcome = await post.send(http, row, self._private)
        result = await transact(self._engine, _note, row, outcome)
        metrics.webhook_deliveries_total.labels(result).inc()
        if result != "delivered":
            told = {"webhook_id": str(row["webhook_id"]), "seq": row["seq"], "reason": outcome.error}
            log.info("a webhook was not served", action="webhook.refused", attempt=row["attempt"] + 1, **told)

    def _closed(self, webhook_id: UUID, lane: asyncio.Task[None]) -> None:
        self._lanes.pop(webhook_id, None)
        if lane.cancelled():
            return
        error = lane.exception()
        if error is not None and not isinstance(error, LostLeadership):
            log.error("a lane broke", action="webhook.lane_broke", webhook_id=str(webhook_id), exc_info=error)


def _note(connection: Connection, row: db.Row, outcome: Outcome) -> str:
    """Write down what became of an attempt. Returns `delivered`, `retried` or `failed`."""
    webhook_id, seq = row["webhook_id"], row["seq"]
    if outcome.delivered:
        assert outcome.status is not None
        webhooks.delivered(connection, webhook_id, seq, outcome.status)
        return "delivered"
    delay = _delay(row["attempt"], outcome) if row["id"] is not None else None
    webhooks.refused(connection, webhook_id, seq, outcome.status, str(outcome.error), delay)
    if outcome.status == post.GONE:
        webhooks.disable(connection, webhook_id, "gone")
    return "failed" if delay is None else "retried"


def _delay(attempts: int, outcome: Outcome) -> float | None:
    """Seconds until the next attempt after these and one more, None when there is none."""
    if attempts >= len(DELAYS):
        return None
    return max(DELAYS[attempts] * random.uniform(1.0, 1.1), outcome.retry_after)  # noqa: S311 - jitter, not a secret
