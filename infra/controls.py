"""What an operator says about a kind while the system runs: paused, and how many at once. The rest is the registry's.

Jobs that run go on. What these words do is in `infra.line` and `infra.holds`.
"""

from collections.abc import Mapping

from sqlalchemy import Connection

from infra import db, events

LIMITS = ("concurrency", "per_key", "starts_per_second")


def by_kind(connection: Connection) -> dict[str, db.Row]:
    """What has been said, by kind."""
    return {row["kind"]: row for row in db.rows(connection, "controls.all")}


def pause(connection: Connection, kind: str, by: str) -> None:
    """Start no job of the kind from now on."""
    db.run(connection, "controls.pause", kind=kind, by=by)
    events.tell(connection, "kind.paused", {"kind": kind, "by": by})


def resume(connection: Connection, kind: str, by: str) -> None:
    """Start them again."""
    db.run(connection, "controls.resume", kind=kind, by=by)
    events.tell(connection, "kind.resumed", {"kind": kind, "by": by})


def limit(connection: Connection, kind: str, limits: Mapping[str, float | None], by: str) -> None:
    """Set the limits that are given, of `LIMITS`; None gives one back to the registry."""
    values = {name: limits.get(name) for name in LIMITS}
    db.run(connection, "controls.limit", kind=kind, given=list(limits), by=by, **values)
