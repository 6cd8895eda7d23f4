"""Who is next: the first in line goes, whichever message came.

Decision. In the leased lane messages are fungible: whoever has a free slot and gets any wake-up claims the first
eligible row of its consumer, by priority, then by the time it was queued. So priorities are exact on every broker
version, and FIFO holds within one; a row that is held for a moment, as by whoever notes that its message was sent, goes
at the next turn instead. The price: the row that a message names may have to wait for another message, so what counts
is how many there are. What keeps it right, and what every change here has to keep: **there are at least as many
messages as queued rows that count as published.**

- A claim spends one message and takes one row out of the count. When that row did not count, another one gives up its
  mark instead (`owe`), and the relay publishes that one again. When none can, because whoever sent its message has not
  noted it yet, that is a debt, and the relay has it paid by one who counts later (`pay`).
- A row counts from the moment when its message is sent, which is before anybody notes it. So whoever goes by the
  message of this very queueing counts. An older message of his is as good as anybody's.
- A row that is put aside leaves the count; when it is let in, the relay publishes it.
- A message too many (sent twice, its job cancelled, its row taken by another message) finds nobody and is dropped.
- A message too few (a purged queue) is found by the relay, which compares the two numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from infra import claims, db, holds
from infra.claims import Claim
from schemas.registry import Kind

COLUMNS = tuple(field.name for field in fields(Claim))


@dataclass(frozen=True)
class Seat:
    """Where work is done: a consumer's process, the kinds that it does, and for how long it claims at a time."""

    consumer: str
    kinds: Sequence[Kind]
    worker: str
    lease_seconds: float


@dataclass(frozen=True)
class Wakeup:
    """Whom a message names, and which queueing of that job it was sent for, when it says."""

    job_id: UUID
    queued_at: datetime | None = None


@dataclass(frozen=True)
class Turn:
    """What a look at the line gave: a claim, or nobody. `again`: the first was put aside, so look once more.

    `known` is false when the message's job has no row yet; then nobody goes.
    """

    claim: Claim | None = None
    again: bool = False
    known: bool = True


def look(connection: Connection, seat: Seat, woken: Wakeup | None = None, paid: bool = False) -> Turn:
    """Take the first in line. Runs in a transaction of its own: what a limit needs stays locked until its end.

    `paid`: a message is spent on this look; `woken` is what it says.
    """
    row = _first(connection, seat, woken)
    if row["id"] is None and row["known"] and paid and _wait(connection, seat):
        row = _first(connection, seat, woken)
    if row["id"] is None:
        return Turn(known=row["known"])
    if paid and not row["published"] and Wakeup(row["id"], row["queued_at"]) != woken:
        db.run(connection, "line.owe", consumer=seat.consumer, id=row["id"])
    if row["token"] is not None:
        return Turn(Claim(**{name: row[name] for name in COLUMNS if name in row}))
    return _bounded(connection, seat, row)


def pay(connection: Connection) -> int:
    """Have those who count now give up their marks for messages that were spent on others. Returns the debts left."""
    return sum(row["messages"] for row in db.rows(connection, "line.pay"))


def _first(connection: Connection, seat: Seat, woken: Wakeup | None) -> db.Row:
    limits = holds.registered(seat.kinds)
    job_id = woken.job_id if woken is not None else None
    values = {"consumer": seat.consumer, "worker": seat.worker, "lease": seat.lease_seconds, "woken": job_id}
    return db.rows(connection, "line.next", **values, **limits)[0]


def _wait(connection: Connection, seat: Seat) -> bool:
    kinds = [kind.name for kind in seat.kinds]
    return db.row(connection, "line.wait", consumer=seat.consumer, kinds=kinds) is not None


def _bounded(connection: Connection, seat: Seat, first: db.Row) -> Turn:
    """The first in line is of a kind that is paused, or has limits: it goes if they leave room."""
    kind, key, crowded = first["kind"], first["concurrency_key"], first["concurrency"] is not None
    if first["paused"]:
        holds.hold(connection, first["id"], kind, None, "paused")
        return Turn(again=True)
    whole = crowded or first["starts_per_second"] is not None
    holds.lock(connection, kind if whole else None, (kind, key) if key is not None else None)
    room = db.rows(
        connection, "line.room", kind=kind, key=key, concurrency=first["concurrency"], per_key=first["per_key"]
    )[0]
    if room["kind_full"] or room["key_full"]:
        holds.hold(connection, first["id"], kind, None if room["kind_full"] else key, "concurrency")
        return Turn(again=True)
    if whole and not _spend(connection, kind, first["starts_per_second"]):
        holds.hold(connection, first["id"], kind, None, "rate")
        return Turn(again=True)
    chosen = _give_way(connection, first, whole)
    claim = claims.claim(connection, chosen, seat.worker, seat.lease_seconds, crowded)
    return Turn(claim, again=claim is None)


def _spend(connection: Connection, kind: str, rate: float | None) -> bool:
    return rate is None or db.row(connection, "line.spend", kind=kind, rate=rate) is not None


def _give_way(connection: Connection, first: db.Row, whole: bool) -> UUID:
    """Who goes: the first in line, or one before it who was put aside and whose turn it is. Then they change places."""
    values = {"id": first["id"], "kind": first["kind"]}
    if whole:
        elder = db.row(connection, "line.elder_of_kind", per_key=first["per_key"], **values)
    else:
        elder = db.row(connection, "line.elder_of_key", key=first["concurrency_key"], **values)
    if elder is None:
        return UUID(str(first["id"]))
    db.run(connection, "holds.hold_one", id=first["id"], reason=elder["held"])
    return UUID(str(elder["id"]))
