"""Items for the queues of their collections: each under a lease of its own, which whoever gets the message holds."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra import db
from infra.leasing import desk
from infra.leasing.cases import PUSHED, Case
from infra.leasing.collection import enter_if_free
from schemas.leases import Acquire

AT_ONCE = 100
#: Of a lease's life; what has not been taken from the queue by then goes back without having counted.
IN_QUEUE = 0.9


def wanted(connection: Connection) -> bool:
    """Whether any collection has its items pushed."""
    return bool(db.rows(connection, "pushing.collections"))


def offer(connection: Connection) -> list[tuple[Case, float]]:
    """Take what the queues lack. Cases with leases are to be put into their queue, for so many seconds at most."""
    names = [row["name"] for row in _wanting(connection, None)]
    if not names:
        return []
    # Whoever was before us has taken some. For what somebody else is in there is another time.
    free = [name for name, collection in enter_if_free(connection, names).items() if collection is not None]
    offered = []
    for row in _wanting(connection, free):
        order = Acquire(op="acquire", collection=row["name"], owner=PUSHED, worker=PUSHED, count=1)
        cases = desk.answer(connection, [order] * min(row["items"], AT_ONCE))
        offered += [(case, row["ttl_seconds"] * IN_QUEUE) for case in cases if case.leases]
    return offered


def _wanting(connection: Connection, names: Sequence[str] | None) -> list[db.Row]:
    rows = db.rows(connection, "pushing.wanting", pushed=PUSHED, names=names)
    return [row for row in rows if row["items"] > 0]
