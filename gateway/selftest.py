"""Do jobs get done? One is asked for as anybody would, and seen to succeed: outbox, broker, consumer and database."""

import asyncio
import time
from uuid import UUID

import structlog

from gateway.services import Services, in_thread
from infra import db, jobs
from infra.ids import new_id, new_traceparent
from infra.outbox import Overloaded
from schemas.commands import Command
from schemas.registry import KINDS
from schemas.states import TERMINAL, JobState

PATIENCE_SECONDS = 5.0
FRESH_SECONDS = 1.0
TICK_SECONDS = 0.05

log = structlog.get_logger()


class SelfTest:
    """One test at a time, and one a second at most: who asks meanwhile shares its answer. Belongs to one loop."""

    def __init__(self, given: Services) -> None:
        self._given = given
        self._begun = 0.0
        self._test: asyncio.Task[bool] | None = None

    async def passes(self) -> bool:
        """Whether a job succeeds within seconds."""
        if self._test is None or (self._test.done() and time.monotonic() - self._begun > FRESH_SECONDS):
            self._begun = time.monotonic()
            self._test = asyncio.create_task(self._ask(), name="self-test")
        return await asyncio.shield(self._test)  # whoever goes away leaves it to the others

    async def _ask(self) -> bool:
        command = Command(
            id=new_id(),
            kind=KINDS["probe.echo"],
            params={"text": "Is anybody there?"},
            inputs=(),
            submitted_by="readyz",
            via="http",
            traceparent=new_traceparent(),
            fresh=True,
        )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._given.outbox.submit(command)
                return await self._end(command.id) is JobState.SUCCEEDED
        except (TimeoutError, Overloaded, *db.AWAY) as error:
            log.warning("no job gets done", action="selftest.failed", job_id=str(command.id), reason=repr(error))
            await self._give_up(command.id)
        return False

    async def _end(self, job_id: UUID) -> JobState:
        while True:
            row = await in_thread(self._look, job_id)
            if row is not None and row["state"] in TERMINAL:
                return JobState(row["state"])
            await asyncio.sleep(TICK_SECONDS)

    async def _give_up(self, job_id: UUID) -> None:
        """What nobody waits for any more is not left to pile up."""
        try:
            await in_thread(self._cancel, job_id)
        except db.AWAY:
            log.info("the test's job is left", action="selftest.left", job_id=str(job_id))

    def _look(self, job_id: UUID) -> db.Row | None:
        with self._given.engine.connect() as connection:
            return jobs.get(connection, job_id)

    def _cancel(self, job_id: UUID) -> None:
        with self._given.engine.begin() as connection:
            jobs.cancel(connection, job_id)
