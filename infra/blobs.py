"""Content by its hash. A row is the only proof that an object counts; objects are erased after the rows have let go."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from schemas.registry import KINDS


def add(connection: Connection, objects: Sequence[tuple[str, str, int, str]]) -> None:
    """Name objects `(sha256, sha1, size, object_key)` as content. Second copies of the same bytes are erased later."""
    columns = {
        "sha256": [o[0] for o in objects],
        "sha1": [o[1] for o in objects],
        "size": [o[2] for o in objects],
        "object_key": [o[3] for o in objects],
    }
    db.run(connection, "blobs.insert", **columns)
    db.run(connection, "blobs.erase_unnamed_objects", object_key=columns["object_key"])


def discard(connection: Connection, object_keys: Sequence[str]) -> None:
    """Have objects removed that were stored and never counted."""
    db.run(connection, "blobs.erase_unnamed_objects", object_key=list(object_keys))


def let_go(connection: Connection, hashes: Iterable[str]) -> None:
    """Erase those of the blobs that nothing names any more."""
    unique = sorted(set(hashes))
    if unique:
        db.rows(connection, "blobs.lock", sha256=unique)
        db.run(connection, "blobs.let_go", sha256=unique)


def resolve(connection: Connection, prefix: str, limit: int = 3) -> Sequence[db.Row]:
    """The contents whose SHA-256 or SHA-1 begins with a hex prefix: uploads, and what jobs made for everybody."""
    guarded = [kind.name for kind in KINDS.values() if kind.guarded]
    return db.rows(connection, "blobs.resolve", prefix=prefix.lower(), limit=limit, guarded=guarded)


def release(connection: Connection, keepers: Iterable[str], jobs: Iterable[UUID] = ()) -> None:
    """These keepers need nothing any more, and what these jobs made goes with them; erase what nobody else names."""
    names, ids = list(keepers), list(jobs)
    gone = [row["sha256"] for row in db.rows(connection, "blobs.unkeep", keepers=names)]
    gone += [row["sha256"] for row in db.rows(connection, "blobs.drop_outputs", jobs=ids)]
    let_go(connection, gone)
