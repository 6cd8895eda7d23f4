"""Short numbers of items, for clients that know items by nothing else. An item gets its number when it is asked for."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from infra import db


def give(connection: Connection, collection_id: int, keys: Sequence[str]) -> Mapping[str, int]:
    """The numbers of these items, new ones in this order; an item that is not there has none."""
    db.run(connection, "numbers.give", collection=collection_id, keys=list(keys))
    rows = db.rows(connection, "numbers.of", collection=collection_id, keys=list(keys))
    return {row["key"]: row["number"] for row in rows}


def keys(connection: Connection, collection_id: int, numbers: Sequence[int]) -> Mapping[int, str]:
    """The items with these numbers, those that there are."""
    rows = db.rows(connection, "numbers.keys", collection=collection_id, numbers=list(numbers))
    return {row["number"]: row["key"] for row in rows}
