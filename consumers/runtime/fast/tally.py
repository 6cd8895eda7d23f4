"""What a transaction will have counted once it is committed: told to Prometheus by number, not job by job."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from consumers.runtime.fast.requests import Outcome
from infra import db, metrics
from infra.fast import Moved
from schemas.registry import Kind
from schemas.states import TERMINAL


class Tally:
    """Counts by kind."""

    def __init__(self) -> None:
        self._submitted: Counter[str] = Counter()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._finished: Counter[tuple[str, str]] = Counter()
        self._waits: dict[str, list[float]] = defaultdict(list)

    def entered(self, kind: Kind, jobs: int) -> None:
        """Jobs got a row."""
        self._submitted[kind.name] += jobs

    def succeeded(self, kind: Kind, moved: Moved) -> None:
        """A batch of jobs was done."""
        self._submitted[kind.name] += moved.inserted
        self._attempts[kind.name, "done"] += moved.jobs
        self._finished[kind.name, "succeeded"] += moved.jobs
        self._waits[kind.name] += moved.waits

    def ended(self, row: db.Row, outcome: Outcome, state: str) -> None:
        """One attempt ended."""
        kind = row["kind"]
        self._attempts[kind, "done" if isinstance(outcome, dict) else outcome.code] += 1
        self._waits[kind].append(row["waited"])
        if state in TERMINAL:
            self._finished[kind, state] += 1

    def tell(self) -> None:
        """The transaction is committed."""
        for kind, jobs in self._submitted.items():
            metrics.jobs_submitted_total.labels(kind, "amqp").inc(jobs)
        for (kind, reason), jobs in self._attempts.items():
            metrics.jobs_attempts_total.labels(kind, reason).inc(jobs)
        for (kind, state), jobs in self._finished.items():
            metrics.jobs_finished_total.labels(kind, state).inc(jobs)
        for kind, waits in self._waits.items():
            _observe(metrics.jobs_queue_wait_seconds.labels(kind), waits)


def _observe(histogram: Any, values: Iterable[float]) -> None:
    for value in values:
        histogram.observe(value)
