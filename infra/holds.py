"""Jobs put aside: queued, but over a limit of their kind or key, or of a kind that is paused.

A job is put aside when its turn comes, not when it is submitted, so limits cost nothing where none applies. Whoever
ends a job that counted lets the next one in; the relay lets in what is left: after a pause, a rate, a raised limit, a
crash. What is let in is only free to go: at its turn the limits are looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from schemas.registry import Kind

HELD_AT_ONCE = 100
LET_IN_AT_ONCE = 500
KEYS_AT_ONCE = 500


def hold(connection: Connection, job_id: UUID, kind: str, key: str | None, reason: str) -> int:
    """Put a job aside with some others of its kind, or of its kind and key. Returns how many."""
    values = {"id": job_id, "kind": kind, "key": key, "reason": reason, "batch": HELD_AT_ONCE}
    return db.run(connection, "holds.hold", **values)


def lock(connection: Connection, kind: str | None, key: tuple[str, str] | None) -> None:
    """Take turns with all who count or make room in a kind, or under a key `(kind, key)`. Always in this order."""
    if kind is not None:
        db.rows(connection, "line.lock", name=f"kind {kind}")
    if key is not None:
        db.rows(connection, "line.lock", name=f"key {' '.join(key)}")


def let_next_in(connection: Connection, kind: str, key: str | None, crowded: bool) -> int:
    """A job that counted has ended in this transaction: the next one is free to go. Returns how many are.

    `crowded`: all of the kind count, not only those with the key.
    """
    lock(connection, kind if crowded else None, (kind, key) if key is not None else None)
    let_in = db.run(connection, "holds.let_in_of_key", kind=kind, key=key) if key is not None else 0
    return let_in or (db.run(connection, "holds.let_in_of_kind", kind=kind) if crowded else 0)


@dataclass
class Round:
    """The relay's round over all that was put aside: a bounded piece of it at a time."""

    kinds: Sequence[Kind]
    _after: dict[str, str] = field(default_factory=dict)

    def go(self, connection: Connection) -> bool:
        """Let in what fits again. True when there may be more of it."""
        limits = registered(self.kinds)
        return any([self._let_in(connection, row) for row in db.rows(connection, "holds.held", **limits)])

    def _let_in(self, connection: Connection, row: db.Row) -> bool:
        if row["paused"]:
            return False
        if row["held"] == "paused":
            return _let_in(connection, row, LET_IN_AT_ONCE)
        if row["held"] == "rate":
            starts = row["starts"] if row["starts_per_second"] is not None else None
            return _let_in(connection, row, _room(connection, row["kind"], starts, count_running=False))
        room = _room(connection, row["kind"], row["concurrency"])
        return room > 0 and any([self._by_key(connection, row, room), _let_in(connection, row, room, keyed=False)])

    def _by_key(self, connection: Connection, row: db.Row, room: int) -> bool:
        """Some of the keys; the next call goes on behind them."""
        kind = row["kind"]
        found = db.rows(
            connection,
            "holds.let_in_by_key",
            kind=kind,
            per_key=row["per_key"],
            after=self._after.get(kind, ""),
            keys=KEYS_AT_ONCE,
            batch=room,
        )[0]
        full: bool = found["keys"] == KEYS_AT_ONCE
        self._after[kind] = found["last"] if full else ""
        return full and found["jobs"] > 0


def registered(kinds: Sequence[Kind]) -> dict[str, list[object]]:
    """The limits that the registry gives to kinds, as columns."""
    return {
        "kinds": [kind.name for kind in kinds],
        "concurrency": [kind.limits.concurrency for kind in kinds],
        "per_key": [kind.limits.per_key for kind in kinds],
        "starts_per_second": [kind.limits.starts_per_second for kind in kinds],
    }


def _room(connection: Connection, kind: str, most: int | None, count_running: bool = True) -> int:
    """How many of a kind to let in, where `most` may go at once: those who go already, or could, take room."""
    if most is None:
        return LET_IN_AT_ONCE
    taken = db.rows(connection, "holds.taken", kind=kind, most=most)[0]
    counted: int = taken["ready"] + (taken["running"] if count_running else 0)
    return min(LET_IN_AT_ONCE, most - counted)


def _let_in(connection: Connection, row: db.Row, number: int, keyed: bool = True) -> bool:
    if number <= 0:
        return False
    values = {"kind": row["kind"], "reason": row["held"], "keyed": keyed, "batch": number}
    return db.run(connection, "holds.let_in", **values) == LET_IN_AT_ONCE
