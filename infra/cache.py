"""The shared cache: values by space and key, each for a time, with an ETag that says which value it is."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection

from infra import db

#: So long after it has expired a value is still there to tell other deployments that it has.
TOLD_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True)
class Condition:
    """What must be so for a value to be put: another one with this ETag is there, or none is."""

    expected: str | None = None
    absent: bool = False


def etag_of(value: bytes, content_type: str) -> str:
    """Equal for equal values of equal type; without quotes."""
    return hashlib.sha256(content_type.encode() + b"\0" + value).hexdigest()


def get(connection: Connection, space: str, key: str) -> db.Row | None:
    """A value that has not expired, and the seconds that are left to it."""
    return db.row(connection, "cache.get", space=space, key=key)


def put(
    connection: Connection,
    place: tuple[str, str],
    value: bytes,
    content_type: str,
    seconds: float,
    by: str,
    condition: Condition,
) -> db.Row | None:
    """Put a value in place of the one before. None when the condition does not hold."""
    return db.row(
        connection,
        "cache.put",
        space=place[0],
        key=place[1],
        value=value,
        content_type=content_type,
        etag=etag_of(value, content_type),
        seconds=seconds,
        by=by,
        expected=condition.expected,
        absent=condition.absent,
    )


def expire(connection: Connection, space: str, key: str, by: str) -> bool:
    """End a value now. False when there is none."""
    return db.run(connection, "cache.expire", space=space, key=key, by=by) == 1


def retire(connection: Connection, batch: int) -> int:
    """Remove at most `batch` values that expired long ago. Returns how many went."""
    return db.run(connection, "cache.retire", age=TOLD_SECONDS, batch=batch)
