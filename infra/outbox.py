"""The gateway's natural batching: commands that arrive while a flush runs share the next one.

A receipt means committed. Publishing follows in the background and may fail as it likes: the row says that it is
still to be done, and the relay does it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Engine

from infra import metrics
from infra.ledger import Answer, Ledger, Order
from infra.publisher import Publisher
from infra.sending import Heard, Sending
from infra.submission import Receipt, Verdict
from infra.telemetry import trace_id
from schemas.commands import Command

log = structlog.get_logger()

# Of so many new jobs the log names each; beyond, their rows and events have the trace.
TOLD = 8


class Overloaded(Exception):
    """More requests wait than can be served soon, or the outbox is closing: try again later."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Orders that are committed together, and who waits for their answers."""

    orders: Sequence[Order]
    answers: asyncio.Future[Sequence[Answer]]


class Outbox:
    """Commits commands in batches of at most `batch`, with at most `limit` waiting, and publishes what it created.

    `heard` is told what the broker says to each publish: whose queue it was for, and whether it took it.
    """

    def __init__(
        self,
        engine: Engine,
        publisher: Publisher,
        batch: int = 500,
        limit: int = 10_000,
        heard: Heard = lambda _, __: None,
    ) -> None:
        self._ledger = Ledger(engine)
        self._sending = Sending(engine, publisher, heard)
        self._batch = batch
        self._limit = limit
        self._singles: deque[_Waiting] = deque()
        self._groups: deque[_Waiting] = deque()
        self._number = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self._flusher: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "outbox")

    async def start(self) -> None:
        """Begin to flush."""
        self._flusher = asyncio.create_task(self._flush_for_ever(), name="outbox")

    async def stop(self) -> None:
        """Accept no more, commit what is waiting, publish what was committed."""
        self._closing = True
        self._arrived.set()
        if self._flusher is not None:
            await self._flusher
        await self._sending.stop()
        self._thread.submit(self._ledger.close)
        self._thread.shutdown()

    async def submit(self, command: Command, live_jobs: int | None = None) -> Receipt:
        """Commit one command, together with those of other callers; `live_jobs` is its submitter's quota.

        Raises Overloaded, or what the database raised.
        """
        [answer] = await self._queue(self._singles, [Order(command, live_jobs)])
        if isinstance(answer, Receipt):
            return answer
        raise answer

    async def submit_many(self, commands: Sequence[Command], live_jobs: int | None = None) -> Sequence[Answer]:
        """Commit commands in a transaction of their own; an answer for each. Raises Overloaded."""
        return await self._queue(self._groups, [Order(command, live_jobs) for command in commands])

    def publish(self, made: Sequence[tuple[Command, Receipt]]) -> None:
        """Publish jobs that the caller has committed, with rows of its own. Call it on the loop."""
        orders = [Order(command, None) for command, _ in made]
        self._announce(orders, [receipt for _, receipt in made], self._sending.ready)

    def _queue(self, queue: deque[_Waiting], orders: Sequence[Order]) -> asyncio.Future[Sequence[Answer]]:
        if self._closing or self._number >= self._limit:
            raise Overloaded
        self._number += len(orders)
        answers: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        queue.append(_Waiting(orders, answers))
        self._arrived.set()
        return answers

    async def _flush_for_ever(self) -> None:
        """Those who came alone and those who came in groups take turns: nobody waits for more than one other group."""
        while self._singles or self._groups or not self._closing:
            self._arrived.clear()
            if self._singles:
                await asyncio.sleep(0)  # whoever arrives in this very turn of the loop comes along
                await self._flush([self._singles.popleft() for _ in range(min(self._batch, len(self._singles)))])
            if self._groups:
                await self._flush([self._groups.popleft()])
            if not self._singles and not self._groups and not self._closing:
                await self._arrived.wait()

    async def _flush(self, batch: Sequence[_Waiting]) -> None:
        orders = [order for waiting in batch for order in waiting.orders]
        self._number -= len(orders)
        now = self._sending.ready
        answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.commit, orders, now)
        self._announce(orders, answers, now)  # first the messages, for which consumers wait
        place = 0
        for waiting in batch:
            end = place + len(waiting.orders)
            if not waiting.answers.done():  # else its caller has gone; the jobs exist all the same
                waiting.answers.set_result(answers[place:end])
            place = end

    def _announce(self, orders: Sequence[Order], answers: Sequence[Answer], now: bool) -> None:
        created = [
            (order.command, answer)
            for order, answer in zip(orders, answers, strict=True)
            if isinstance(answer, Receipt) and answer.verdict is Verdict.CREATED
        ]
        if not created:
            return
        kinds = Counter((command.kind.name, command.via) for command, _ in created)
        for (kind, via), jobs in kinds.items():
            metrics.jobs_submitted_total.labels(kind, via).inc(jobs)
        if now:
            self._sending.send([(command, receipt) for command, receipt in created if receipt.queued_at is not None])
        _tell([command for command, _ in created], sorted({kind for kind, _ in kinds}))


def _tell(created: Sequence[Command], kinds: Sequence[str]) -> None:
    """One line for all: at thousands a second, a line each would cost more than the jobs."""
    told: dict[str, Any] = {"action": "job.committed", "jobs": len(created), "kind": ", ".join(kinds)}
    if len(created) <= TOLD:
        told["job_id"] = ",".join(str(command.id) for command in created)
        told["trace_id"] = ",".join(dict.fromkeys(trace_id(command.traceparent) or "" for command in created))
    log.info("jobs committed", **told)
