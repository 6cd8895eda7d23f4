"""How a job can end: a closed set of outcomes, and the one table that turns an exception into one of them. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from consumers.artifacts import Artifact


@dataclass(frozen=True)
class Follow:
    """A job that follows from this one: made in the transaction of its success, or not at all.

    It may read this job's outputs. With `after_siblings` it waits for all others that follow without that. What becomes
    of it when one of them does not succeed is `after_failure`: "cancel" or "run". `priority` is this job's by default.
    """

    kind: str
    params: dict[str, Any]
    key: str | None = None
    priority: int | None = None
    concurrency_key: str | None = None
    after_siblings: bool = False
    after_failure: str = "cancel"


@dataclass(frozen=True)
class Done:
    """The work is finished. `result` is shown to the caller; `artifacts` become the job's outputs; `jobs` follow."""

    result: dict[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    jobs: tuple[Follow, ...] = ()


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
