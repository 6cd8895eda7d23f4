"""Bringing items in: staged first, then merged in one transaction. What is known keeps its progress.

And its place, unless a few new items are mixed with those that nothing has happened to.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from infra import db, tenancy
from infra.leasing.collection import Collection, enter
from schemas.items import Ordering

# One import of a collection at a time. Any constant will do.
IMPORT_LOCKS = 0x5EE2
#: Lines of a report that name repeated or renewed keys; beyond, there is only their number.
MOST_TOLD = 10_000
# Lines that are worth a shard of their own: far more than the gateway takes at once, which could not make one.
LARGE = 100_000
# Lines whose new items get places among those that came last instead of a pool of their own: whoever adds them one by
# one would else leave a pool for each to those who take.
FEW = 1000
# New items after which the planner is told.
MANY = 10_000


class Source(Protocol):
    """Lines of line, key, partition, attributes, in the text format of `copy`."""

    def read(self, size: int) -> bytes:
        """The next piece; empty at the end."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item that somebody names. Attributes are a JSON object."""

    key: str
    partition: str
    attributes: str


@dataclass(frozen=True, slots=True)
class Merged:
    """How many lines did what, and some of those that are worth a word: line and key."""

    inserted: int
    updated: int
    unchanged: int
    duplicate: int
    repeated: Sequence[tuple[int, str]]
    renewed: Sequence[tuple[int, str]]


def copy(connection: Connection, source: Source) -> int:
    """Stage a file; returns how many lines it has."""
    db.run(connection, "imports.stage")
    db.run(connection, "imports.clear")
    return db.copy_in(connection, "imports.copy", source)


def put(connection: Connection, items: Sequence[NewItem]) -> int:
    """Stage a few items; returns how many."""
    db.run(connection, "imports.stage")
    db.run(connection, "imports.clear")
    return db.run(
        connection,
        "imports.put",
        lines=list(range(1, len(items) + 1)),
        keys=[item.key for item in items],
        partitions=[item.partition for item in items],
        attributes=[item.attributes for item in items],
    )


def merge(connection: Connection, collection: Collection, staged: int) -> Merged:
    """Make what is staged (so many lines) part of a collection.

    Whoever hands out its items is held up where order matters, and for a moment where a few mix with what is there.
    """
    if collection.ordering is Ordering.ARRIVAL:
        enter(connection, [collection.name])
    db.rows(connection, "imports.turn", space=IMPORT_LOCKS, collection=collection.id)
    db.run(connection, "imports.memory")
    [there] = db.rows(connection, "imports.known", collection=collection.id)
    if there["items"]:
        merged = _renewed(connection, collection, there["shard"], staged)
    elif (partition := _alone(connection, collection, staged)) is not None:
        merged = _large(connection, collection, partition, staged)
    else:
        merged = _all_new(connection, collection, there["shard"], staged)
    if merged.inserted or merged.updated:
        db.run(connection, "imports.forget", collection=collection.id)
    db.run(connection, "imports.done")
    return merged


def _alone(connection: Connection, collection: Collection, staged: int) -> str | None:
    """The partition of what is staged, if it is to have a shard of its own."""
    if staged < LARGE or collection.ordering is not Ordering.RANDOM:
        return None
    row = db.row(connection, "imports.only_partition")
    return row["partition"] if row is not None else None


def _large(connection: Connection, collection: Collection, partition: str, staged: int) -> Merged:
    """Make what is staged, all of one partition, a shard of its own. Rows go there as they come out of the sort."""
    [pool] = db.rows(connection, "imports.pool", collection=collection.id, partition=partition)
    db.run(connection, "imports.places")
    db.run(connection, "imports.shard")
    [made] = db.rows(connection, "imports.make_shard", collection=collection.id, pool=pool["id"])
    db.run(connection, "imports.open_pool", collection=collection.id, pool=pool["id"], items=made["items"])
    return _without_repeated(connection, made["items"], staged)


def _all_new(connection: Connection, collection: Collection, shard: int, staged: int) -> Merged:
    """Merge what is staged into a collection without items."""
    db.run(connection, "imports.keep")
    new = {row["partition"]: row["items"] for row in db.rows(connection, "imports.counted_new")}
    if new:
        _insert(connection, collection, shard, new, staged)
    return _without_repeated(connection, sum(new.values()), staged)


def _without_repeated(connection: Connection, inserted: int, staged: int) -> Merged:
    """What became of it all: lines whose key came again further down have been left out."""
    left_out = staged - inserted
    repeated: list[tuple[int, str]] = []
    # Of very many, those with one hash in so many will do: twice the number that is told, if they are spread evenly.
    for share in (min(2 * MOST_TOLD / left_out, 1), 1) if left_out else ():
        if len(repeated) < min(left_out, MOST_TOLD):
            below = min(round((share - 0.5) * 2**64), 2**63 - 1)
            repeated = _told(connection, "imports.left_out", below=below)
    return Merged(inserted, 0, 0, left_out, repeated, [])


def _renewed(connection: Connection, collection: Collection, shard: int, staged: int) -> Merged:
    """Merge what is staged into a collection that knows some of it."""
    db.run(connection, "imports.keep_unlike", collection=collection.id)
    counted = db.rows(connection, "imports.counted")
    duplicate, updated, inserted = (sum(row[what] for row in counted) for what in ("repeated", "changed", "unknown"))
    repeated = _told(connection, "imports.repeated") if duplicate else []
    renewed = _told(connection, "imports.renewed") if updated else []
    if updated:
        db.run(connection, "imports.renew", collection=collection.id)
    if inserted:
        new = {row["partition"]: row["unknown"] for row in counted if row["unknown"]}
        _insert(connection, collection, shard, new, staged)
    return Merged(inserted, updated, staged - duplicate - inserted - updated, duplicate, repeated, renewed)


def _told(connection: Connection, statement: str, **values: int) -> list[tuple[int, str]]:
    """Some of these lines, each with its key, in their order."""
    return sorted((row["line"], row["key"]) for row in db.rows(connection, statement, most=MOST_TOLD, **values))


def done_before(connection: Connection, collection: Collection, name: str) -> dict[str, Any] | None:
    """The record of the latest merge that changed anything, if it was this one."""
    row = db.row(connection, "imports.done_before", collection=collection.id, name=name)
    return dict(row["record"]) if row is not None else None


def remember(connection: Connection, collection: Collection, name: str, record: dict[str, Any]) -> None:
    """This merge was the latest that changed anything."""
    db.run(connection, "imports.remember", collection=collection.id, name=name, record=db.document(record))


def _mixed_in(connection: Connection, collection: Collection, shard: int, new: Mapping[str, int]) -> dict[str, int]:
    """Put a few new items at random among those of their partition. Returns what has found no pool."""
    enter(connection, [collection.name])  # nobody is handed what moves
    pools = db.rows(connection, "imports.latest_pools", collection=collection.id, partitions=list(new))
    for pool in pools:
        partition, items = pool["partition"], new[pool["partition"]]
        at = {"collection": collection.id, "shard": shard, "pool": pool["id"]}
        places = _drawn(connection, at, pool, items)
        db.run(connection, "imports.insert_among", **at, partition=partition, places=places)
        db.run(connection, "imports.grow", collection=collection.id, pool=pool["id"], items=items)
    known = {pool["partition"] for pool in pools}
    return {partition: items for partition, items in new.items() if partition not in known}


def _drawn(connection: Connection, at: Mapping[str, int], pool: db.Row, items: int) -> list[int]:
    """Positions for so many new items, each as likely as any other that has not been handed out.

    What is there moves behind; where it cannot, because something has happened to it, the new one goes behind instead.
    """
    size = int(pool["size"])
    drawn = random.sample(range(min(int(pool["reached"]), size), size + items), items)
    shard, where = at["shard"], at["pool"]
    wanted = [position for position in drawn if position < size]
    olds: list[int] = []
    if wanted:
        with tenancy.unscoped(connection):  # fetch tasks are not the tenant's, though they may name his items
            rows = db.rows(connection, "imports.movable", shard=shard, pool=where, positions=wanted)
        olds = [row["position"] for row in rows]
    behind = list(set(range(size, size + items)) - set(drawn))
    random.shuffle(behind)
    free = len(behind) - len(olds)  # one for each that cannot move
    if olds:
        db.run(connection, "imports.make_room", shard=shard, pool=where, olds=olds, news=behind[free:])
    places = [*olds, *behind[:free], *(position for position in drawn if position >= size)]
    random.shuffle(places)
    return places


def _insert(connection: Connection, collection: Collection, shard: int, new: Mapping[str, int], staged: int) -> None:
    """Give what is new its places; `new` says how many of which partition."""
    if collection.ordering is Ordering.RANDOM and staged <= FEW:
        new = _mixed_in(connection, collection, shard, new)
        if not new:
            return
    arrival = collection.ordering is Ordering.ARRIVAL
    db.run(
        connection,
        "imports.pools",
        collection=collection.id,
        arrival=arrival,
        partitions=list(new),
        items=list(new.values()),
    )
    db.run(connection, "imports.new_pools", collection=collection.id)
    insert = "imports.insert_in_order" if arrival else "imports.insert_shuffled"
    db.run(connection, insert, collection=collection.id, shard=shard)
    db.run(connection, "imports.open", collection=collection.id)
    if sum(new.values()) >= MANY:
        db.run(connection, "imports.statistics")
