"""What the gateway has committed goes out at once: jobs of the fast lane packed, those of the leased lane one by one.

A leased job is marked as published when the broker has confirmed it. A fast one counts as published from its first
moment, because two writes cost twice; when its message does not get out, the row is told, and the relay sends it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from infra import db
from infra.publisher import Confirmation, Publisher
from infra.submission import Receipt
from infra.topology import JOBS
from schemas.commands import Command
from schemas.registry import Consumer, Kind, Lane
from schemas.wire import Message, PackedJob, job_message, jobs_in, packed_messages

log = structlog.get_logger()

Heard = Callable[[Consumer, bool], None]
Job = tuple[Command, Receipt]

# More batches of leased jobs than these in the air mean a slow broker: the relay will publish what we leave.
PUBLISHING = 4
# Packs in the air. With more, new fast jobs do not count as published any more.
PACKS = 64
# Messages that are written in one go; in between, the loop serves others.
AT_ONCE = 100
PARTING_SECONDS = 5.0


class Sending:
    """Publishes in the background. Belongs to the outbox's loop."""

    def __init__(self, engine: Engine, publisher: Publisher, heard: Heard) -> None:
        self._engine = engine
        self._publisher = publisher
        self._heard = heard
        self._leased: set[asyncio.Task[None]] = set()
        self._packs: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether what is committed now will be sent."""
        return self._publisher.connected and not self._publisher.blocked and len(self._packs) < PACKS

    def send(self, jobs: Sequence[Job]) -> None:
        """Publish new, queued jobs. Those of the fast lane count as published already."""
        leased = [job for job in jobs if job[0].kind.lane is Lane.LEASED]
        if leased and len(self._leased) < PUBLISHING:
            self._begin(self._leased, self._send_leased(leased))
        by_kind: dict[Kind, list[Job]] = defaultdict(list)
        for job in jobs:
            if job[0].kind.lane is Lane.FAST:
                by_kind[job[0].kind].append(job)
        for kind, fast in by_kind.items():
            self._begin(self._packs, self._send_packed(kind, fast))

    async def stop(self) -> None:
        """Wait a moment for what is on its way. The relay publishes what is left."""
        under_way = self._leased | self._packs
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=PARTING_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _begin(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _send_leased(self, jobs: Sequence[Job]) -> None:
        confirmed: list[Receipt] = []
        for start in range(0, len(jobs), AT_ONCE):
            part = jobs[start : start + AT_ONCE]
            fates = await asyncio.gather(*(self._publish(job[0].kind, _alone(job)) for job in part))
            confirmed += [receipt for (_, receipt), fate in zip(part, fates, strict=True) if fate is Confirmation.ACKED]
        if confirmed:
            await self._note("outbox.mark", confirmed)

    async def _send_packed(self, kind: Kind, jobs: Sequence[Job]) -> None:
        packs = _packed(kind, jobs)
        try:
            fates = await asyncio.gather(*(self._publish(kind, message) for message, _ in packs))
        except asyncio.CancelledError:
            fates = [Confirmation.UNKNOWN] * len(packs)
        kept = [
            receipt
            for (_, part), fate in zip(packs, fates, strict=True)
            if fate is not Confirmation.ACKED
            for receipt in part
        ]
        if kept:
            log.info("not sent; the relay sends them", action="outbox.unsent", jobs=len(kept), kind=kind.name)
            await self._note("submission.unsent", kept)

    async def _publish(self, kind: Kind, message: Message) -> Confirmation:
        fate = await self._publisher.publish(JOBS, message)
        if fate in {Confirmation.ACKED, Confirmation.NACKED}:
            self._heard(kind.consumer, fate is Confirmation.ACKED)
        return fate

    async def _note(self, query: str, receipts: Sequence[Receipt]) -> None:
        try:
            await asyncio.to_thread(_run, self._engine, query, receipts)
        except DBAPIError as error:
            # A leased job is published once more; the message of a fast one is missed and found.
            log.warning("the rows do not know what was published", action="outbox.unmarked", exc_info=error)


def _alone(job: Job) -> Message:
    command, receipt = job
    name, version = command.kind.name, command.kind.version
    return job_message(
        command.id, name, command.params, command.priority, command.traceparent, version, receipt.queued_at
    )


def _run(engine: Engine, query: str, receipts: Sequence[Receipt]) -> None:
    with engine.begin() as connection:
        ids, times = [r.job_id for r in receipts], [r.queued_at for r in receipts]
        db.run(connection, query, ids=ids, queued_at=times)


def _packed(kind: Kind, jobs: Sequence[Job]) -> list[tuple[Message, list[Receipt]]]:
    """The messages for jobs of one kind, each with the receipts of the jobs in it."""
    if len(jobs) == 1:
        return [(_alone(jobs[0]), [jobs[0][1]])]
    lines = [
        PackedJob.model_construct(id=c.id, params=c.params, priority=c.priority, traceparent=c.traceparent)
        for c, _ in jobs
    ]
    rest = iter([receipt for _, receipt in jobs])
    return [
        (message, list(islice(rest, jobs_in(message)))) for message in packed_messages(kind.name, lines, kind.version)
    ]
