"""Doing the work of the fast lane: a call, because it is declared short and touches nothing outside."""

from collections.abc import Mapping
from typing import Any

import structlog

from consumers.outcome import Fail, JobError, Later, outcome_of
from consumers.registry import Work, load_fast
from consumers.runtime import foreign
from consumers.runtime.fast.requests import Outcome
from consumers.runtime.foreign import Unprocessable

log = structlog.get_logger()


class Hands:
    """The handlers of one consumer, loaded."""

    def __init__(self, work: Mapping[str, Work]) -> None:
        self._handlers = {name: load_fast(each) for name, each in work.items()}
        self.work = work

    def do(self, kind: str, params: Any) -> Outcome:
        """Run the handler of a kind on valid parameters."""
        try:
            return self._handlers[kind](params)
        except Exception as error:
            return _read(kind, error)

    def do_row(self, kind: str, version: int, params: dict[str, Any]) -> Outcome:
        """The same for parameters as they stand in a row. Raises Unprocessable for a kind of another consumer."""
        if kind not in self.work:
            raise Unprocessable("wrong_consumer", f"this consumer does not do {kind}")
        known = self.work[kind].kind
        if version > known.version:
            return Later("newer_version", "The job is of a newer version than this consumer knows.")
        try:
            return self.do(kind, foreign.checked(known, version, params))
        except Unprocessable as problem:
            return Fail(problem.code, problem.detail)


def _read(kind: str, error: Exception) -> Later | Fail:
    if not isinstance(error, JobError):
        log.error("a handler broke", action="attempt.broke", kind=kind, exc_info=error)
    outcome = outcome_of(error)
    return outcome if isinstance(outcome, Later | Fail) else Later("internal_error", "The attempt broke.")
