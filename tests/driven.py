"""The real runtime in the test's own process, turned by the test, with a kind whose handler does what it is told."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from consumers.registry import Work
from consumers.runtime.database import Database
from consumers.runtime.loop import Runtime
from infra.settings import MIB, Settings
from infra.topology import queue_of
from schemas.registry import KINDS, Consumer, Limits
from tests.desk import Desk
from tests.integration.antics import Antics
from tests.makers import new_command
from tests.system import PATIENCE, until

LIMITS = Limits(wall_seconds=3600, memory_bytes=600 * MIB)


class Driven:
    """A runtime whose only kind does antics, turned by the test."""

    def __init__(self, desk: Desk, settings: Settings, limits: Limits) -> None:
        self.desk = desk
        self._closed = False
        kind = replace(KINDS["analyze.sleep"], params=Antics, limits=limits)
        work = {kind.name: Work(kind, "tests.integration.antics:handle")}
        queue = queue_of(Consumer.ANALYZER)
        self.runtime = Runtime(settings, "analyzer", queue, work, Database(desk.engine))

    def ask(self, do: str, amount: int = 0) -> UUID:
        """A job that does an antic."""
        command = new_command(self.desk.file())
        command.params.pop("time")
        command.params.update(do=do, amount=amount)
        self.desk.commit(command)
        self.desk.wake(command.id)
        return command.id

    def close(self) -> None:
        """As a process that dies: nothing is settled any more. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self.runtime.close()

    def until(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Turn until a condition holds."""

        def turned() -> Any:
            self.runtime.turn()
            return condition()

        return until(turned, what, patience)

    def end(self, job_id: UUID) -> dict[str, Any]:
        """Turn until a job's attempt has ended, and return the row."""
        self.until(lambda: self.desk.job(job_id)["state"] not in {"queued", "running"}, "the attempt ends")
        return self.desk.job(job_id)
