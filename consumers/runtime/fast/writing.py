"""What a batch writes, in the transaction that it is given: claims, effects and ends of all its jobs at once.

Nearly always that is one statement. Its slower companion goes through the rows: for jobs that failed, that are named by
an idempotency key, or whose row says something else than the message. Then the row is right, and is done instead.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from consumers.outcome import Fail
from consumers.runtime.fast.hands import Hands
from consumers.runtime.fast.pauses import Pauses
from consumers.runtime.fast.requests import Outcome, Refused, Request, refuse
from consumers.runtime.fast.tally import Tally
from consumers.runtime.foreign import Unprocessable
from infra import claims, db, fast, submission
from infra.submission import Verdict
from schemas.registry import KINDS, Kind


@dataclass(slots=True)
class Written:
    """What a transaction has done, if it is committed."""

    tally: Tally = field(default_factory=Tally)
    refused: list[Refused] = field(default_factory=list)


class Writer:
    """Writes for one consumer process, `worker`."""

    def __init__(self, hands: Hands, pauses: Pauses, worker: str) -> None:
        self._hands = hands
        self._pauses = pauses
        self._worker = worker

    def write(self, connection: Connection, requests: Sequence[Request]) -> Written:
        """Write down how the work of these requests ended. None of them names the same job as another."""
        written = Written()
        keyed = [r for r in requests if r.command is not None]
        named = [r for r in requests if r.command is None] if keyed else requests
        paused = self._pauses.now(connection)
        for kind, group in _by_kind(named).items():
            if kind.name in paused:
                self._hold(connection, kind, group, written)
            else:
                self._write_kind(connection, kind, group, written)
        self._write_keyed(connection, keyed, paused, written)
        return written

    def write_from_row(self, connection: Connection, job_id: UUID, outcome: Outcome | None) -> Written:
        """Do a job as its row says, or end it with this outcome. Raises Unprocessable when it is another consumer's."""
        written = Written()
        for row in fast.take(connection, [job_id]):
            if row["kind"] in self._pauses.now(connection) & self._hands.work.keys():
                fast.hold(connection, [job_id])
                continue
            done = self._hands.do_row(row["kind"], row["version"], row["params"]) if outcome is None else outcome
            self._end(connection, [(row, done)], written)
        return written

    def _write_kind(self, connection: Connection, kind: Kind, group: Sequence[Request], written: Written) -> None:
        done = [r for r in group if isinstance(r.outcome, dict)]
        rest = [r for r in group if not isinstance(r.outcome, dict)] if len(done) < len(group) else []
        if done:
            moved = fast.succeed(connection, kind, self._worker, [r.row() for r in done])
            written.tally.succeeded(kind, moved)
            if moved.jobs < len(done):
                rest = rest + done  # most of them are over, and drop out by that
        failed = [r.row() for r in rest if not isinstance(r.outcome, dict)]
        if failed:
            written.tally.entered(kind, fast.enter(connection, kind, failed))
        self._write_rows(connection, {r.id: r for r in rest}, written)

    def _write_rows(self, connection: Connection, requests: Mapping[UUID, Request], written: Written) -> None:
        endings = []
        for row in fast.take(connection, requests) if requests else []:
            request = requests[row["id"]]
            try:
                endings.append((row, self._outcome(request, row)))
            except Unprocessable as problem:
                written.refused.append(refuse(request, problem))
        self._end(connection, endings, written)

    def _outcome(self, request: Request, row: db.Row) -> Outcome:
        if row["kind"] == request.kind.name and row["params"] == request.params:
            return request.outcome
        return self._hands.do_row(row["kind"], row["version"], row["params"])

    def _end(self, connection: Connection, endings: Sequence[tuple[db.Row, Outcome]], written: Written) -> None:
        told = [_ending(row, outcome) for row, outcome in endings]
        if told:
            fast.end(connection, self._worker, told)
        for (row, outcome), ending in zip(endings, told, strict=True):
            written.tally.ended(row, outcome, ending["state"])

    def _write_keyed(
        self, connection: Connection, keyed: Sequence[Request], paused: Collection[str], written: Written
    ) -> None:
        if not keyed:
            return
        receipts = submission.submit(connection, [r.command for r in keyed if r.command is not None])
        found: dict[UUID, Request] = {}
        for request, receipt in zip(keyed, receipts, strict=True):
            if receipt.job_id is None or receipt.verdict is Verdict.KEY_REUSED:
                problem = Unprocessable("idempotency_key_reused", "the message id was used with another request")
                written.refused.append(refuse(request, problem))
                continue
            if receipt.verdict is Verdict.CREATED:
                written.tally.entered(request.kind, 1)
            found[receipt.job_id] = request
        fast.hold(connection, [job_id for job_id, r in found.items() if r.kind.name in paused])
        self._write_rows(connection, {i: r for i, r in found.items() if r.kind.name not in paused}, written)

    def _hold(self, connection: Connection, kind: Kind, group: Sequence[Request], written: Written) -> None:
        written.tally.entered(kind, fast.enter(connection, kind, [r.row() for r in group]))
        fast.hold(connection, [r.id for r in group])


def _by_kind(requests: Sequence[Request]) -> dict[Kind, list[Request]]:
    groups: dict[str, list[Request]] = {}
    for request in requests:
        groups.setdefault(request.kind.name, []).append(request)
    return {group[0].kind: group for group in groups.values()}


def _ending(row: db.Row, outcome: Outcome) -> dict[str, Any]:
    """How an attempt ends, as the database is told."""
    if isinstance(outcome, dict):
        return {"id": row["id"], "state": "succeeded", "result": outcome}
    told = {"id": row["id"], "error_code": outcome.code, "error_message": outcome.message}
    attempt = row["attempt"] + 1
    if isinstance(outcome, Fail) or attempt >= row["max_attempts"]:
        return told | {"state": "failed"}
    return told | {"state": "scheduled", "delay": claims.back_off(KINDS[row["kind"]].limits, attempt)}
