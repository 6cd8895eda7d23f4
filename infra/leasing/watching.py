"""What goes on in collections, for people who watch: bounded looks, whatever the size."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra import db
from schemas.items import ItemState

LOOKS = 5000
"""So far back the feed and the list of imports look: neither has an index of its own."""


def progress(connection: Connection, ids: Sequence[int]) -> dict[int, dict[ItemState, int]]:
    """How many items of each of these collections are in which state."""
    counted = {number: dict.fromkeys(ItemState, 0) for number in ids}
    for row in db.rows(connection, "watching.tallies", ids=list(ids)):
        counted[row["collection_id"]][ItemState(row["state"])] = row["items"]
    return counted


def open_leases(connection: Connection, collection: int, limit: int) -> Sequence[db.Row]:
    """Who holds items of a collection, the longest first."""
    return db.rows(connection, "watching.open", collection=collection, limit=limit)


def feed(connection: Connection, collection: int, limit: int) -> Sequence[db.Row]:
    """What was taken last, newest first."""
    return db.rows(connection, "watching.feed", collection=collection, looks=LOOKS, limit=limit)


def imports(connection: Connection, name: str, limit: int) -> Sequence[db.Row]:
    """The newest imports into a collection."""
    return db.rows(connection, "watching.imports", collection=name, looks=LOOKS, limit=limit)


def holders(connection: Connection, limit: int) -> Sequence[db.Row]:
    """Workers that hold items of any collection, those with the most first."""
    return db.rows(connection, "watching.holders", limit=limit)
