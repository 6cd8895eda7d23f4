"""What a consumer tells of its attempts, once it is committed: log lines and metrics."""

import time
from collections.abc import Sequence

import structlog

from consumers.runtime.endings import reason_of
from consumers.runtime.slots import Attempt, Slot
from infra import metrics, telemetry
from infra.claims import Claim
from schemas.states import TERMINAL

log = structlog.get_logger()


def started(claim: Claim) -> None:
    """An attempt has begun."""
    metrics.jobs_queue_wait_seconds.labels(claim.kind).observe(claim.waited_seconds)
    with telemetry.about(claim.id, claim.traceparent):
        log.info("attempt started", action="attempt.started", kind=claim.kind, attempt=claim.attempt)


def ended(attempt: Attempt, state: str | None) -> None:
    """An attempt is over. `state` is what its job reached, None when the claim was lost."""
    assert attempt.ending is not None
    claim, reason, seconds = attempt.claim, reason_of(attempt.ending), time.monotonic() - attempt.started
    if state is None:
        metrics.jobs_fenced_total.labels(claim.kind).inc()
    if state in TERMINAL:
        metrics.jobs_finished_total.labels(claim.kind, state).inc()
    metrics.jobs_attempts_total.labels(claim.kind, reason).inc()
    metrics.jobs_run_seconds.labels(claim.kind).observe(seconds)
    with telemetry.about(claim.id, claim.traceparent):
        log.info(
            "attempt ended",
            action="attempt.ended",
            kind=claim.kind,
            attempt=claim.attempt,
            ending=reason,
            state=state or "fenced",
            seconds=round(seconds, 3),
        )


def slots(all_slots: Sequence[Slot]) -> None:
    """How many slots are busy."""
    busy = sum(not slot.idle for slot in all_slots)
    metrics.jobs_worker_slots.labels("busy").set(busy)
    metrics.jobs_worker_slots.labels("free").set(len(all_slots) - busy)
