"""The gateway's natural batching: commands that arrive while a flush runs share the next one.

A receipt means committed. Publishing follows in the background and may fail as it likes: the row says that it is
still to be done, and the relay does it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from infra import db, metrics, submission
from infra.publisher import Confirmation, Publisher
from infra.submission import Receipt, Verdict
from infra.telemetry import trace_id
from infra.topology import JOBS
from schemas.commands import Command
from schemas.wire import job_message

log = structlog.get_logger()

Answer = Receipt | Exception

# More batches than these in the air mean a slow broker: the relay will publish what we leave.
PUBLISHING = 4
PARTING_SECONDS = 5.0
DEADLOCKS = frozenset({"40P01", "40001"})


class Overloaded(Exception):
    """More requests wait than can be served soon, or the outbox is closing: try again later."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    command: Command
    answer: asyncio.Future[Receipt]


class Outbox:
    """Commits commands in batches of at most `batch`, with at most `limit` waiting, and publishes what it created."""

    def __init__(self, engine: Engine, publisher: Publisher, batch: int = 500, limit: int = 10_000) -> None:
        self._engine = engine
        self._publisher = publisher
        self._batch = batch
        self._limit = limit
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._flusher: asyncio.Task[None] | None = None
        self._publishing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to flush."""
        self._flusher = asyncio.create_task(self._flush_for_ever(), name="outbox")

    async def stop(self) -> None:
        """Accept no more, commit what is waiting, publish what was committed."""
        self._closing = True
        self._arrived.set()
        if self._flusher is not None:
            await self._flusher
        if self._publishing:
            _, late = await asyncio.wait(self._publishing, timeout=PARTING_SECONDS)
            for task in late:  # the relay publishes what we leave
                task.cancel()

    async def submit(self, command: Command) -> Receipt:
        """Commit one command, together with those of other callers. Raises Overloaded, or what the database raised."""
        if self._closing or len(self._queue) >= self._limit:
            raise Overloaded
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(command, answer))
        self._arrived.set()
        return await answer

    async def _flush_for_ever(self) -> None:
        while self._queue or not self._closing:
            self._arrived.clear()
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            if batch:
                await self._flush(batch)
            else:
                await self._arrived.wait()

    async def _flush(self, batch: Sequence[_Waiting]) -> None:
        commands = [waiting.command for waiting in batch]
        answers = await asyncio.to_thread(_commit, self._engine, commands)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():  # its caller has gone; the job exists all the same
                continue
            if isinstance(answer, Receipt):
                waiting.answer.set_result(answer)
            else:
                waiting.answer.set_exception(answer)
        self._announce(commands, answers)

    def _announce(self, commands: Sequence[Command], answers: Sequence[Answer]) -> None:
        created = [
            (command, answer)
            for command, answer in zip(commands, answers, strict=True)
            if isinstance(answer, Receipt) and answer.verdict is Verdict.CREATED
        ]
        for command, _ in created:
            metrics.jobs_submitted_total.labels(command.kind.name, command.via).inc()
            log.info(
                "job committed",
                action="job.committed",
                job_id=str(command.id),
                trace_id=trace_id(command.traceparent),
                kind=command.kind.name,
            )
        queued = [(command, receipt) for command, receipt in created if receipt.queued_at is not None]
        if queued and self._publisher.connected and len(self._publishing) < PUBLISHING:
            task = asyncio.create_task(self._publish(queued))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def _publish(self, queued: Sequence[tuple[Command, Receipt]]) -> None:
        fates = await asyncio.gather(*(self._publish_one(command) for command, _ in queued))
        confirmed = [receipt for (_, receipt), fate in zip(queued, fates, strict=True) if fate is Confirmation.ACKED]
        try:
            await asyncio.to_thread(_mark, self._engine, confirmed)
        except DBAPIError as error:
            log.warning("marking failed; the relay publishes once more", action="outbox.unmarked", exc_info=error)

    async def _publish_one(self, command: Command) -> Confirmation:
        message = job_message(command.id, command.kind.name, command.params, command.priority, command.traceparent)
        return await self._publisher.publish(JOBS, message)


def _commit(engine: Engine, commands: Sequence[Command]) -> Sequence[Answer]:
    """One transaction for all. When it is refused for what is in it, halves are tried, so that only culprits fail."""
    try:
        return _submit(engine, commands)
    except Exception as error:
        if len(commands) > 1 and not isinstance(error, db.AWAY):
            middle = len(commands) // 2
            return [*_commit(engine, commands[:middle]), *_commit(engine, commands[middle:])]
        log.error("commit failed", action="outbox.failed", commands=len(commands), exc_info=error)
        return [error] * len(commands)


def _submit(engine: Engine, commands: Sequence[Command]) -> list[Receipt]:
    for last in (False, True):
        try:
            with engine.begin() as connection:
                db.run(connection, "outbox.patience")
                return submission.submit(connection, commands)
        except DBAPIError as error:
            if last or getattr(error.orig, "pgcode", None) not in DEADLOCKS:
                raise
    raise AssertionError("unreachable")


def _mark(engine: Engine, published: Sequence[Receipt]) -> None:
    if published:
        with engine.begin() as connection:
            ids, times = [r.job_id for r in published], [r.queued_at for r in published]
            db.run(connection, "outbox.mark", ids=ids, queued_at=times)
