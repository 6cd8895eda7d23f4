"""What may become of a job on its way to the broker, and the job while it is on that way."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from uuid import UUID


class Unsent(Exception):
    """The job is not with the broker, or nobody knows: sending it again with the same id is safe."""


class Refused(Unsent):
    """Its queue is full, or broken: try again later."""


class Returned(Unsent):
    """No queue is bound for its kind."""


class Lost(Unsent):
    """The producer was closed before the broker had confirmed it."""


@dataclass(slots=True)
class Parcel:
    """A job, and who waits for its fate: the future gives the job's id."""

    kind: str
    id: UUID
    params: dict[str, Any]
    body: bytes
    priority: int
    traceparent: str | None
    packed: bool
    """Whether it may travel with others of its kind."""
    fate: "Future[UUID]"

    def settle(self, error: Unsent | None) -> None:
        """Tell the fate. A future that its owner has cancelled stays so."""
        if self.fate.set_running_or_notify_cancel():
            if error is None:
                self.fate.set_result(self.id)
            else:
                self.fate.set_exception(error)
