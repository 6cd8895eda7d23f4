"""Uploads in pieces, as rows: how far each has come, and which objects hold it so far.

Every piece is an object of its own, committed as it comes, so that whatever breaks, what was taken stays taken. The
last piece is committed together with the file: an upload is never complete without its file being there. The price is
that the bytes are read and written once more at the end, which is also where they are hashed.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import allowance, db, files
from infra.ids import new_id
from infra.steps import StoredObject
from infra.tokens import Identity

#: An upload that gets nothing for so long is let go.
PATIENCE_SECONDS = 24 * 3600.0
BATCH = 100


def piece_key(upload_id: UUID) -> str:
    """A fresh key for a piece."""
    return f"pieces/{upload_id}/{new_id()}"


def begin(connection: Connection, name: str, content_type: str, who: Identity, size: int) -> UUID:
    """Begin an upload of `size` bytes, at least one. Returns its id. Raises OverQuotaError."""
    allowance.check(connection, who, size)
    upload_id = new_id()
    terms = {"name": name, "content_type": content_type, "created_by": who.name, "size": size}
    db.run(connection, "resumable.begin", id=upload_id, seconds=PATIENCE_SECONDS, **terms)
    return upload_id


def get(connection: Connection, upload_id: UUID) -> db.Row | None:
    """One upload that has not expired."""
    return db.row(connection, "resumable.get", id=upload_id)


def add(connection: Connection, upload_id: UUID, start: int, pieces: Sequence[tuple[str, int]]) -> bool:
    """Take pieces `(object_key, size)` that begin at `start`, none of them the last. False when it stands elsewhere."""
    for object_key, size in pieces:
        moved = db.run(connection, "resumable.advance", id=upload_id, start=start, size=size, seconds=PATIENCE_SECONDS)
        if not moved:
            return False
        db.run(connection, "resumable.add_piece", id=upload_id, start=start, size=size, object_key=object_key)
        start += size
    return True


def pieces(connection: Connection, upload_id: UUID) -> list[str]:
    """The objects that were taken so far, in order."""
    return [row["object_key"] for row in db.rows(connection, "resumable.pieces", id=upload_id)]


def complete(
    connection: Connection, upload_id: UUID, start: int, stored: StoredObject, created_by: str, traceparent: str
) -> bool:
    """Take the last piece, which begins at `start`: the whole is a file now. False when the upload stands elsewhere."""
    done = db.run(
        connection, "resumable.complete", id=upload_id, start=start, sha256=stored.sha256, seconds=PATIENCE_SECONDS
    )
    if not done:
        return False
    files.add(connection, stored, created_by, traceparent)
    db.run(connection, "resumable.drop_pieces", id=upload_id)
    return True


def delete(connection: Connection, upload_id: UUID) -> bool:
    """Give an upload up; a file that came of it stays. False when there is none."""
    db.run(connection, "resumable.drop_pieces", id=upload_id)
    return db.run(connection, "resumable.delete", id=upload_id) == 1


def erase(connection: Connection, object_keys: Sequence[str]) -> None:
    """Have pieces removed that were stored and never counted."""
    db.run(connection, "resumable.erase", object_keys=list(object_keys))


def expire(connection: Connection) -> bool:
    """Give up a batch of uploads that nobody goes on with. True when there may be more."""
    over = db.rows(connection, "resumable.expired", batch=BATCH)
    for row in over:
        delete(connection, row["id"])
    return len(over) == BATCH
