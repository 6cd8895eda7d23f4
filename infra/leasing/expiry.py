"""Leases that end without their holders: those that ran out, each attempt counted, and old ones that are released.

However many look, each lease ends once.
"""

from uuid import UUID

from sqlalchemy import Connection

from infra import db
from infra.collections import UnknownCollection
from infra.leasing.collection import Collection, enter, enter_if_free
from infra.leasing.returning import give_back

BATCH = 500
# Nobody gets an item of the collection while so many are given back.
MOST_ITEMS = 10_000
MOVER = "expiry"
RAN_OUT = ("lease_expired", "The lease ran out.")


def sweep(connection: Connection) -> int:
    """End the leases of one collection that have run out. Returns how many; zero when none has.

    A collection in which somebody is has to wait, not the others.
    """
    found = _expired(connection)
    if found is None:
        return 0
    collection, ids = found
    # Since we looked, its holder may have extended it, or another sweeper ended it.
    still = [row["id"] for row in db.rows(connection, "leases.still_expired", ids=ids, most=MOST_ITEMS)]
    if still:
        give_back(connection, collection, still, RAN_OUT, charged=True, mover=MOVER)
    return max(len(still), 1)


def _expired(connection: Connection) -> tuple[Collection, list[UUID]] | None:
    """A collection, entered, and its leases that have run out."""
    busy: list[str] = []
    while rows := db.rows(connection, "leases.expired", batch=BATCH, busy=busy):
        for row in rows:
            collection = enter_if_free(connection, [row["name"]])[row["name"]]
            if collection is not None:
                return collection, row["ids"]
        busy += [row["name"] for row in rows]
    return None


def release_older(connection: Connection, name: str, seconds: float, by: str) -> tuple[int, int]:
    """Give back what leases hold that were taken so long ago, uncharged. Returns how many leases and items it was.

    A part at a time, until it is none. Raises UnknownCollection.
    """
    collection = enter(connection, [name]).get(name)
    if collection is None:
        raise UnknownCollection
    terms = {"collection": collection.id, "age": seconds, "batch": BATCH, "most": MOST_ITEMS}
    ids = [row["id"] for row in db.rows(connection, "watching.older", **terms)]
    if not ids:
        return 0, 0
    back = give_back(connection, collection, ids, charged=False, mover=by)
    return len(back), sum(back.values())


def fold(connection: Connection) -> None:
    """Add up what has been counted in pieces."""
    db.run(connection, "items.fold")
    db.run(connection, "items.fold_workers")
    db.run(connection, "fetch_tasks.fold")
