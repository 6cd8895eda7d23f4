"""What a batch holds becomes what is committed: in one transaction, or in smaller ones while a job spoils it.

Everything here may be done again with the same batch: what was committed the first time is over, and is left alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Connection

from consumers.outcome import Later
from consumers.runtime.database import Database, DatabaseAway
from consumers.runtime.fast.requests import Refused, Request, refuse
from consumers.runtime.fast.writing import Writer, Written
from consumers.runtime.foreign import Unprocessable
from infra import fast

UNSTORABLE = Later("internal_error", "What the attempt made cannot be stored; the log of the consumer has it.")

log = structlog.get_logger()


class Committer:
    """Commits batches. Every method raises DatabaseAway."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def commit(self, requests: Sequence[Request], refused: Sequence[Refused]) -> list[Refused]:
        """Commit what can be. Returns what is to be parked."""
        left = list(refused)
        while requests:
            first, again = _once_each(requests)
            left += self._commit(first)
            requests = again
        return self._without_rows(left)

    def _commit(self, requests: Sequence[Request]) -> list[Refused]:
        """All in one transaction. If it is refused for what is in it, halves are tried, so that only culprits fail."""
        try:
            return self._transact(partial(self._writer.write, requests=requests))
        except DatabaseAway:
            raise
        except Exception as error:
            if len(requests) > 1:
                middle = len(requests) // 2
                return self._commit(requests[:middle]) + self._commit(requests[middle:])
            log.error("a job cannot be stored", action="message.refused", exc_info=error)
            problem = Unprocessable("unstorable", f"storing it failed with {type(error).__name__}")
            return [refuse(requests[0], problem)]

    def _without_rows(self, refused: Sequence[Refused]) -> list[Refused]:
        """A job that has a row is not refused for what a message says about it: the row is done."""
        ids = {each.job_id for each in refused if each.job_id is not None}
        if not ids:
            return list(refused)
        with self._database.transaction() as connection:
            known = fast.known(connection, ids)
        saved = {job_id for job_id in known if self._save(job_id)}
        return [each for each in refused if each.job_id not in saved]

    def _save(self, job_id: UUID) -> bool:
        for outcome in (None, UNSTORABLE):
            try:
                self._transact(partial(self._writer.write_from_row, job_id=job_id, outcome=outcome))
            except DatabaseAway:
                raise
            except Unprocessable:
                return False
            except Exception as error:
                log.error("an ending cannot be stored", action="attempt.unstorable", job_id=str(job_id), exc_info=error)
            else:
                return True
        return False

    def _transact(self, write: Callable[[Connection], Written]) -> list[Refused]:
        with self._database.transaction() as connection:
            written = write(connection)
        written.tally.tell()
        return written.refused


def _once_each(requests: Sequence[Request]) -> tuple[list[Request], list[Request]]:
    """Each job once, and what else was said about the same ones, unless it is just the same again."""
    first: dict[UUID, Request] = {}
    again = []
    for request in requests:
        known = first.setdefault(request.id, request)
        if known is not request and (known.params != request.params or known.kind.name != request.kind.name):
            again.append(request)
    return list(first.values()), again
