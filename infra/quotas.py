"""How many live jobs a submitter may have. Counted in the database, up to the limit, and only when that may be reached.

One gateway is exact: it counts and commits in one thread. Of several, each may go over by what the others commit within
the second for which it believes its count.
"""

import time
from dataclasses import dataclass, field

from sqlalchemy import Connection

from infra import db

BELIEVED_SECONDS = 1.0


class Full(Exception):
    """Whoever asks has as many live jobs as he may have."""


def check(connection: Connection, submitter: str, limit: int | None) -> None:
    """Raises Full when there is no room for another job. What makes several at once may go over by the others."""
    if limit is None:
        return
    if db.rows(connection, "submission.live_of", submitted_by=submitter, most=limit)[0]["jobs"] >= limit:
        raise Full


@dataclass
class _Count:
    jobs: int
    until: float


@dataclass
class Quotas:
    """The counts of this process."""

    _counts: dict[str, _Count] = field(default_factory=dict)

    def room(self, connection: Connection, submitter: str, limit: int, wanted: int) -> int:
        """How many of `wanted` new jobs the submitter may have now."""
        known = self._counts.get(submitter)
        if known is None or known.until < time.monotonic() or known.jobs + wanted > limit:
            row = db.row(connection, "submission.live_of", submitted_by=submitter, most=limit)
            known = _Count(row["jobs"] if row is not None else 0, time.monotonic() + BELIEVED_SECONDS)
            self._counts[submitter] = known
        return max(0, min(wanted, limit - known.jobs))

    def took(self, submitter: str, jobs: int) -> None:
        """So many have been committed since the count."""
        if submitter in self._counts:
            self._counts[submitter].jobs += jobs
