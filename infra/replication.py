"""What deployments share: the feed of it, and applying what a peer tells. `schemas.replication` has the rule.

The feed is numbered by whoever reads it, one reader at a time, and only what is committed gets a number. So a reader
never passes over something that was being written while he read, and the next change of a thing has a greater number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from infra import cache, db
from schemas.manifests import Listing
from schemas.replication import (
    Change,
    Entity,
    Fate,
    NumberedChange,
    ReplicaPage,
    SharedManifest,
    SharedValue,
    Thing,
)

NUMBERED = 10_000
PAGE_BYTES = 8 * 1024 * 1024
#: The order in which kinds are locked.
KINDS = ("cache", "manifest", "task")


@dataclass(frozen=True)
class Applied:
    """What became of each thing, and the tasks that are as they are elsewhere: their items may not be so yet."""

    fates: Mapping[Entity, Fate]
    tasks: Sequence[tuple[str, str]]


def number(connection: Connection) -> None:
    """Give the next numbers to what has changed. Commit before anything is read."""
    db.rows(connection, "replication.one_reader")
    db.run(connection, "replication.number", batch=NUMBERED)


def head(connection: Connection) -> int:
    """The last number that something has."""
    return int(db.rows(connection, "replication.head")[0]["seq"])


def page(connection: Connection, since: int, limit: int) -> ReplicaPage:
    """Changes after a number: at most so many, and not much more than `PAGE_BYTES`."""
    rows = db.rows(connection, "replication.page", since=since, limit=limit, bytes=PAGE_BYTES)
    changes = [
        NumberedChange(seq=row["seq"], revision=row["revision"], thing=_thing(row["thing"]))
        for row in rows
        if row["thing"] is not None
    ]
    last = rows[-1]["seq"] if rows else since
    return ReplicaPage(changes=changes, next=last, more=last < head(connection))


def apply(connection: Connection, changes: Iterable[Change], applier: str) -> Applied:
    """Take over what goes before what is here. Links are for `infra.replicated_links`."""
    db.rows(connection, "replication.one_writer")
    newest: dict[Entity, Change] = {}
    for change in changes:
        before = newest.get(change.entity)
        if before is None or before.rank < change.rank:
            newest[change.entity] = change
    fates: dict[Entity, Fate] = {}
    for kind in KINDS:
        fates |= _apply(connection, kind, [each for each in newest.values() if each.thing.kind == kind], applier)
    tasks = [
        change.thing.place
        for entity, change in newest.items()
        if change.thing.kind == "task" and fates[entity] is not Fate.KEPT
    ]
    return Applied(fates, tasks)


def feed(connection: Connection) -> str:
    """What names the feed of this deployment."""
    return str(db.rows(connection, "replication.feed")[0]["feed"])


def mark(connection: Connection, peer: str, seq: int) -> None:
    """Note how far the feed of a peer was applied."""
    db.run(connection, "replication.mark", peer=peer, seq=seq)


def marks(connection: Connection) -> Sequence[db.Row]:
    """How far each peer's feed was applied."""
    return db.rows(connection, "replication.marks")


def _apply(connection: Connection, kind: str, changes: Sequence[Change], applier: str) -> dict[Entity, Fate]:
    if not changes:
        return {}
    inserted = _write(connection, f"insert_{kind}", changes, applier)
    rest = [change for change in changes if change.thing.place not in inserted]
    here = _current(connection, kind, rest)
    fates = {change.entity: Fate.APPLIED for change in changes}
    fates |= {change.entity: _fate(change, here.get(change.thing.place)) for change in rest}
    won = [change for change in rest if fates[change.entity] is Fate.APPLIED]
    _write(connection, f"update_{kind}", won, applier)
    taken = [change for change in changes if fates[change.entity] is Fate.APPLIED]
    kept = [change for change in changes if fates[change.entity] is Fate.KEPT]
    db.run(connection, "replication.revise", kind=kind, **_places(taken), revisions=[each.revision for each in taken])
    db.run(connection, "replication.tell_again", kind=kind, **_places(kept))
    return fates


def _current(connection: Connection, kind: str, changes: Sequence[Change]) -> dict[tuple[str, str], Change]:
    """What is here of these, locked."""
    if not changes:
        return {}
    db.rows(connection, f"replication.lock_{kind}", **_places(changes))
    return {
        (row["space"], row["key"]): Change(revision=row["revision"], thing=_thing(row["thing"]))
        for row in db.rows(connection, "replication.current", kind=kind, **_places(changes))
    }


def _fate(change: Change, here: Change | None) -> Fate:
    if here is None or change.rank == here.rank:  # none: a value that expired long ago was removed at this moment
        return Fate.KNOWN
    return Fate.APPLIED if change.rank > here.rank else Fate.KEPT


def _write(connection: Connection, query: str, changes: Sequence[Change], applier: str) -> set[tuple[str, str]]:
    if not changes:
        return set()
    things = db.document([_columns(change.thing) for change in changes])
    values = {"applier": applier} if query == "insert_task" else {}
    result = connection.execute(db.sql(f"replication.{query}"), {"things": things, **values})
    return {(row.space, row.key) for row in result} if result.returns_rows else set()


def _places(changes: Sequence[Change]) -> dict[str, list[str]]:
    places = [change.thing.place for change in changes]
    return {"spaces": [space for space, _ in places], "keys": [key for _, key in places]}


def _columns(thing: Thing) -> dict[str, Any]:
    """A thing as the row that it is here."""
    plain = thing.model_dump(mode="json")
    if isinstance(thing, SharedManifest):
        listed = Listing(files=tuple(thing.files))
        files = [[file.path, file.size, file.sha256] for file in thing.files]
        more = {"file_count": len(files), "size": listed.bytes, "list_sha256": listed.sha256}
        return plain | {"files": files, **more}
    if isinstance(thing, SharedValue):
        return plain | {"etag": cache.etag_of(thing.value, thing.content_type)}
    return plain


def _thing(plain: dict[str, Any]) -> Any:
    """A thing as the database tells it, ready to be read."""
    if plain["kind"] != "manifest":
        return plain
    return plain | {"files": [dict(zip(("path", "size", "sha256"), file, strict=True)) for file in plain["files"]]}
