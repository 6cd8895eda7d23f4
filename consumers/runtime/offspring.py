"""The jobs that follow from a job: checked while the attempt can still be blamed, made with its success or never."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from consumers.outcome import Follow
from consumers.runtime import foreign
from consumers.runtime.foreign import Unresolved
from infra import metrics, submission
from infra.claims import Claim
from infra.ids import new_id
from infra.submission import Receipt, Verdict
from schemas.commands import Command
from schemas.registry import KINDS

MOST = 10_000


def check(jobs: Sequence[Follow]) -> None:
    """Raises ValueError, KeyError or ValidationError for what no job can be made of: the handler's mistake."""
    if len(jobs) > MOST:
        raise ValueError(f"at most {MOST} jobs follow from one")
    for job in jobs:
        _params(job)
        if job.after_failure not in {"cancel", "run"}:
            raise ValueError(f"no such answer to a failure: {job.after_failure}")


def make(connection: Connection, claim: Claim, jobs: Sequence[Follow]) -> int:
    """Make them, in the transaction in which their parent has just succeeded. Returns how many are queued.

    Raises Unresolved when one names a file that is not there.
    """
    siblings = _submit(connection, claim, [job for job in jobs if not job.after_siblings], ())
    before = tuple(receipt.job_id for receipt in siblings if receipt.job_id is not None)
    made = siblings + _submit(connection, claim, [job for job in jobs if job.after_siblings], before)
    return sum(receipt.queued_at is not None for receipt in made)


def _submit(connection: Connection, claim: Claim, jobs: Sequence[Follow], after: tuple[UUID, ...]) -> list[Receipt]:
    if not jobs:
        return []
    commands = [foreign.resolve(connection, _command(claim, job, after)) for job in jobs]
    receipts = submission.submit(connection, commands)
    for command, receipt in zip(commands, receipts, strict=True):
        if receipt.job_id is None:
            raise Unresolved("unknown_file", "A file of a job that follows has just been deleted.")
        if receipt.verdict is Verdict.CREATED:
            metrics.jobs_submitted_total.labels(command.kind.name, command.via).inc()
    return receipts


def _command(claim: Claim, job: Follow, after: tuple[UUID, ...]) -> Command:
    return Command(
        id=new_id(),
        kind=KINDS[job.kind],
        params=_params(job),
        inputs=(),
        submitted_by=claim.submitted_by,
        via="job",
        unique_key=job.key,
        priority=claim.priority if job.priority is None else job.priority,
        parent_id=claim.id,
        traceparent=claim.traceparent,
        concurrency_key=job.concurrency_key,
        after=after,
        after_failure=job.after_failure,
        fresh=True,
    )


def _params(job: Follow) -> dict[str, Any]:
    return KINDS[job.kind].params.model_validate(job.params).model_dump(mode="json")
