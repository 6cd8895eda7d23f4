"""What a batch is made of: jobs that were asked for, and messages that nobody can process."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from consumers.outcome import Fail, Later
from consumers.runtime.foreign import Unprocessable
from infra.broker import Delivery
from schemas.commands import Command
from schemas.registry import Kind

Outcome = dict[str, Any] | Later | Fail
"""How the work has ended: with this result, or not."""


@dataclass(slots=True)
class Request:
    """A job as a message asks for it, and how its work has ended. `params` are complete and JSON-ready."""

    id: UUID
    kind: Kind
    params: dict[str, Any]
    outcome: Outcome
    source: Delivery
    submitted_by: str
    priority: int = 0
    traceparent: str | None = None
    line: bytes | None = None
    """Its own part of a packed message."""
    command: Command | None = None
    """The same as a command, when the message names an idempotency key instead of a job: which job shows later."""

    def row(self) -> dict[str, Any]:
        """The job as the database is told."""
        return {
            "id": self.id,
            "params": self.params,
            "result": self.outcome if isinstance(self.outcome, dict) else None,
            "priority": self.priority,
            "submitted_by": self.submitted_by,
            "traceparent": self.traceparent,
        }


@dataclass(slots=True)
class Refused:
    """A message, or a line of one, that nobody can process; `source` is acknowledged once `message` is parked."""

    message: Delivery
    source: Delivery
    problem: Unprocessable
    job_id: UUID | None
    """The job that it names, if it names one: a job that exists is done all the same."""


def refuse(request: Request, problem: Unprocessable) -> Refused:
    """Give a request up."""
    message = request.source if request.line is None else alone(request.source, request.line, request.kind, request.id)
    return Refused(message, request.source, problem, request.id if request.command is None else None)


def alone(source: Delivery, line: bytes, kind: Kind, job_id: UUID | None) -> Delivery:
    """One line of a packed message as a message of its own, which can be sent again."""
    properties = {"type": kind.name, "content_type": source.properties["content_type"]}
    if job_id is not None:
        properties["message_id"] = str(job_id)
    return replace(source, body=line, properties=properties)
