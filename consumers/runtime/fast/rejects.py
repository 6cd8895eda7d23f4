"""Messages that nobody can process: parked with the reason before they are acknowledged, however long that takes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from consumers.runtime.fast.requests import Refused
from infra import metrics
from infra.broker import BrokerAway, Delivery, Intake, Unparkable, park_all

RETRY_SECONDS = 1.0
TRIES = 3
AT_ONCE = 500
"""Parked in one go: each waits for its confirm, and the loop must turn."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Kept:
    """A delivery, and what of it is not parked yet."""

    source: Delivery
    refused: list[Refused] = field(default_factory=list)
    failures: int = 0


class Rejects:
    """Parks what came from one queue, and keeps what could not be parked yet. Holds up nothing else."""

    def __init__(self, amqp_url: str, queue: str, intake: Intake) -> None:
        self._amqp_url = amqp_url
        self._queue = queue
        self._intake = intake
        self._kept: dict[int, _Kept] = {}
        self._next_try = 0.0

    def add(self, refused: Sequence[Refused]) -> None:
        """Take these on."""
        for each in refused:
            self._kept.setdefault(id(each.source), _Kept(each.source)).refused.append(each)

    def turn(self) -> list[Delivery]:
        """Park what is there, if it is time. Returns the deliveries of which nothing is left: acknowledge them."""
        # What came over a channel that is gone comes again.
        self._kept = {name: kept for name, kept in self._kept.items() if self._intake.current(kept.source)}
        if self._kept and time.monotonic() >= self._next_try:
            self._park([each for kept in self._kept.values() for each in kept.refused][:AT_ONCE])
        return self._done()

    def _park(self, refused: Sequence[Refused]) -> None:
        fates = park_all(self._amqp_url, self._queue, [(each.message, _reason(each)) for each in refused])
        for each, fate in zip(refused, fates, strict=True):
            kept = self._kept[id(each.source)]
            if fate is None:
                kept.refused = [other for other in kept.refused if other is not each]
                metrics.jobs_parked_total.labels(each.problem.code).inc()
                log.warning("message parked", action="message.parked", code=each.problem.code, reason=_reason(each))
            elif isinstance(fate, Unparkable):
                kept.failures += 1
                log.error("a message cannot be parked", action="message.unparkable", exc_info=fate)
        if any(isinstance(fate, BrokerAway | Unparkable) for fate in fates):
            self._next_try = time.monotonic() + RETRY_SECONDS

    def _done(self) -> list[Delivery]:
        parked = [kept.source for kept in self._kept.values() if not kept.refused]
        for kept in self._kept.values():
            if kept.failures >= TRIES and kept.refused:
                self._intake.reject(kept.source)  # the broker puts it there by itself, without a reason
                kept.refused.clear()
        self._kept = {name: kept for name, kept in self._kept.items() if kept.refused}
        return parked


def _reason(refused: Refused) -> str:
    return f"{refused.problem.code}: {refused.problem.detail}"
