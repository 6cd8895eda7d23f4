"""The collection that a transaction has entered: alone, until it commits."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from infra import db
from infra.verdicts import Rules
from schemas.items import Ordering

# Any constant will do; it only has to be the same in every process that hands out items.
COLLECTION_LOCKS = 0x5EE1


@dataclass(frozen=True, slots=True)
class Collection:
    """What is said about a collection."""

    id: int
    name: str
    ordering: Ordering
    ttl_seconds: float
    per_worker: int | None
    rules: Rules


def known(connection: Connection, name: str) -> Collection | None:
    """A collection, without waiting for our turn."""
    row = db.row(connection, "items.collection", name=name)
    return _collection(row) if row is not None else None


def enter(connection: Connection, names: Iterable[str], patience: str | None = None) -> dict[str, Collection]:
    """Wait for our turn in these collections; those that exist, by name. Statements that follow see all before us.

    `patience`: how long at most, as the database says it (`1s`); as long as the session waits for any lock, if None.
    """
    given = {"space": COLLECTION_LOCKS, "names": sorted(set(names)), "patience": patience}
    return {row["name"]: _collection(row) for row in db.rows(connection, "leases.enter", **given)}


def enter_if_free(connection: Connection, names: Iterable[str]) -> dict[str, Collection | None]:
    """The same without waiting: None where somebody else is in."""
    found = db.rows(connection, "leases.enter_if_free", space=COLLECTION_LOCKS, names=sorted(set(names)))
    return {row["name"]: _collection(row) if row["entered"] else None for row in found}


def _collection(row: db.Row) -> Collection:
    return Collection(
        row["id"],
        row["name"],
        Ordering(row["ordering"]),
        row["ttl_seconds"],
        row["per_worker"],
        Rules(row["max_attempts"], row["retry_seconds"]),
    )
