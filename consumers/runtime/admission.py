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
from consumers.runtime.database import Database
from consumers.runtime.foreign import Unprocessable, Unresolved
from infra import claims, db, line, metrics, submission
from infra.broker import Delivery
from infra.claims import Claim
from infra.line import Seat, Turn, Wakeup
from infra.submission import Verdict
from schemas.commands import Command

LOOKS = 16
"""How often one message may find that the first in line has to be put aside."""


@dataclass(frozen=True)
class Admission:
    """Admits messages for one consumer process."""

    work: Mapping[str, Work]
    seat: Seat

    def admit(self, database: Database, delivery: Delivery) -> Claim | None:
        """Claim the first in line on account of a message, or None when nobody waits. Acknowledge it after that.

        Raises Unprocessable, DatabaseAway.
        """
        with database.transaction() as connection:
            turn = self._answer(connection, delivery)
        return self.seek(database) if turn.again else turn.claim

    def seek(self, database: Database) -> Claim | None:
        """Claim the first in line without a message. Raises DatabaseAway."""
        for _ in range(LOOKS):
            with database.transaction() as connection:
                turn = line.look(connection, self.seat)
            if not turn.again:
                return turn.claim
        return None

    def _answer(self, connection: Connection, delivery: Delivery) -> Turn:
        woken = foreign.wakeup_of(delivery)
        if woken is not None:
            turn = line.look(connection, self.seat, woken, paid=True)
            if turn.known:
                return turn
        return self._answer_foreign(connection, foreign.read(delivery, self.work))

    def _answer_foreign(self, connection: Connection, command: Command) -> Turn:
        try:
            job_id = _submit(connection, foreign.resolve(connection, command))
        except Unresolved as problem:
            self._fail(connection, command, problem)
            return Turn()
        return line.look(connection, self.seat, Wakeup(job_id), paid=True)

    def _fail(self, connection: Connection, command: Command, problem: Unresolved) -> None:
        job_id = _submit(connection, replace(command, inputs=()))
        claim = claims.claim(connection, job_id, self.seat.worker, self.seat.lease_seconds)
        if claim is not None:
            claims.fail(connection, claim, problem.code, problem.message)


def _submit(connection: Connection, command: Command) -> UUID:
    """The job that a command made, or made earlier. A new one counts as published: here is its message."""
    receipt = submission.submit(connection, [command])[0]
    if receipt.verdict is Verdict.KEY_REUSED:
        raise Unprocessable("idempotency_key_reused", "the message id was used with another request")
    if receipt.job_id is None:
        raise Unresolved("unknown_file", "A file of this job has just been deleted.")
    if receipt.verdict is Verdict.CREATED:
        metrics.jobs_submitted_total.labels(command.kind.name, command.via).inc()
        db.run(connection, "outbox.mark", ids=[receipt.job_id], queued_at=[receipt.queued_at])
    return receipt.job_id
