"""Leases that ran out: their items go back, each attempt counted. However many look, each lease ends once."""

from sqlalchemy import Connection

from infra import db
from infra.leasing.collection import enter

BATCH = 500
MOVER = "expiry"


def sweep(connection: Connection) -> int:
    """End the leases of one collection that have run out. Returns how many; zero when none has."""
    found = db.rows(connection, "leases.expired", batch=BATCH)
    if not found:
        return 0
    name, ids = found[0]["name"], found[0]["ids"]
    collection = enter(connection, [name])[name]
    # While we waited for our turn, its holder may have extended it, or another sweeper ended it.
    still = [row["id"] for row in db.rows(connection, "leases.still_expired", ids=ids)]
    if still:
        db.rows(connection, "leases.return", collection=collection.id, ids=still, charged=True, mover=MOVER)
    return max(len(still), 1)


def fold(connection: Connection) -> None:
    """Add up what has been counted in pieces."""
    db.run(connection, "items.fold")
    db.run(connection, "items.fold_workers")
    db.run(connection, "fetch_tasks.fold")
