"""From a message to a claim. The row is the truth, the message a wake-up: it is read only when there is no row.

What is wrong with a foreign message's shape (no JSON, no such kind, bad parameters) has no job that could fail: it is
refused, to be parked. A sound message whose file does not exist becomes a job that has failed, with a code, so that its
producer, who knows the job's id, can see why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection

from consumers.registry import Work
from consumers.runtime import foreign
from consumers.runtime.foreign import Unprocessable, Unresolved
from infra import claims, metrics, submission
from infra.broker import Delivery
from infra.claims import Claim
from infra.submission import Verdict
from schemas.commands import Command


@dataclass(frozen=True)
class Admission:
    """Admits messages for one consumer process."""

    work: Mapping[str, Work]
    worker: str
    lease_seconds: float

    def admit(self, connection: Connection, delivery: Delivery) -> Claim | None:
        """Claim the job that a message is about, or None when there is nothing to do. Raises Unprocessable.

        Runs in the caller's transaction: acknowledge only after that is committed.
        """
        job_id = foreign.job_id_of(delivery)
        if job_id is not None:
            claim = self._claim(connection, job_id)
            if claim is not None or claims.exists(connection, job_id):
                return claim
        return self._admit_foreign(connection, foreign.read(delivery, self.work))

    def _admit_foreign(self, connection: Connection, command: Command) -> Claim | None:
        try:
            job_id = _submit(connection, foreign.resolve(connection, command))
        except Unresolved as problem:
            self._fail(connection, command, problem)
            return None
        return self._claim(connection, job_id)

    def _fail(self, connection: Connection, command: Command, problem: Unresolved) -> None:
        claim = self._claim(connection, _submit(connection, replace(command, inputs=())))
        if claim is not None:
            claims.fail(connection, claim, problem.code, problem.message)

    def _claim(self, connection: Connection, job_id: UUID) -> Claim | None:
        claim = claims.claim(connection, job_id, self.worker, self.lease_seconds)
        if claim is not None and claim.kind not in self.work:
            raise Unprocessable("wrong_consumer", f"this consumer does not do {claim.kind}")
        return claim


def _submit(connection: Connection, command: Command) -> UUID:
    """The job that a command made, or made earlier."""
    receipt = submission.submit(connection, [command])[0]
    if receipt.verdict is Verdict.KEY_REUSED:
        raise Unprocessable("idempotency_key_reused", "the message id was used with another request")
    if receipt.job_id is None:
        raise Unresolved("unknown_file", "A file of this job has just been deleted.")
    if receipt.verdict is Verdict.CREATED:
        metrics.jobs_submitted_total.labels(command.kind.name, command.via).inc()
    return receipt.job_id
