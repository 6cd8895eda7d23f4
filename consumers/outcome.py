"""How a job can end: a closed set of outcomes, and the one table that turns an exception into one of them. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from consumers.artifacts import Artifact


@dataclass(frozen=True)
class Done:
    """The work is finished. `result` is shown to the caller; `artifacts` become the job's outputs."""

    result: dict[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True)
class Later:
    """Something outside failed and may work again: try again after a back-off, until attempts are spent."""

    code: str
    message: str


@dataclass(frozen=True)
class Fail:
    """It will never work: fail for good, with a code for machines and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Skip:
    """The claim is somebody else's by now: write nothing."""

    reason: str


Outcome = Done | Later | Fail | Skip


class JobError(Exception):
    """A failure that the work knows by name. Later by default: the same input may well work next time."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Rejected(JobError):
    """The input can never be processed: no attempt will change that."""


class Fenced(Exception):
    """The claim was lost to a rescue or a cancel; whatever this attempt still does must leave no trace."""


def outcome_of(error: BaseException) -> Outcome:
    """Read the table below: exception to outcome. No path or traceback gets into a message."""
    for kind, make in TABLE:
        if isinstance(error, kind):
            return make(error)
    return Later("internal_error", f"The attempt broke with {type(error).__name__}; the log of the consumer has it.")


def _named(outcome: type[Later] | type[Fail]) -> Callable[[JobError], Outcome]:
    return lambda error: outcome(error.code, error.message)


TABLE: tuple[tuple[type[BaseException], Callable[[Any], Outcome]], ...] = (
    (Fenced, lambda _: Skip("fenced")),
    (Rejected, _named(Fail)),
    (JobError, _named(Later)),
    (MemoryError, lambda _: Later("out_of_memory", "The attempt ran out of memory.")),
    (OSError, lambda error: Later("io_error", f"Reading or writing failed ({type(error).__name__}).")),
)
