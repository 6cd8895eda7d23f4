"""What becomes of parked messages: sent again or let go, each of them once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from infra import db, jobs


class Resolution(StrEnum):
    """What became of a parked message, or why nothing did."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    UNKNOWN = "unknown"  # there is no such message
    ALREADY_RESOLVED = "already_resolved"
    TRUNCATED = "truncated"  # its body was too large to keep
    HAS_JOB = "has_job"  # its job exists, and does not read the message
    JOB_MOVED_ON = "job_moved_on"  # its job does not need the message any more
    INPUTS_GONE = "inputs_gone"
    KEY_IN_USE = "key_in_use"  # another live job has its job's key
    UNROUTABLE = "unroutable"  # no queue is bound for it
    REFUSED = "refused"  # its queue is full
    UNCONFIRMED = "unconfirmed"  # sent, but the broker has not said that it has it
    UNAVAILABLE = "unavailable"  # the broker is away


@dataclass(frozen=True)
class Change:
    """What is different when it is sent again."""

    body: bytes | None = None
    routing_key: str | None = None


Send = Callable[[Sequence[db.Row]], Sequence[Resolution]]


def discard(connection: Connection, ids: Sequence[int], by: str) -> dict[int, Resolution]:
    """Let messages go. They stay in the record."""
    found = _hold(connection, ids)
    db.run(connection, "parked.resolve", ids=list(found), resolution=Resolution.DISCARDED.value, by=by)
    done = dict.fromkeys(found, Resolution.DISCARDED)
    return _of_all(connection, ids, done)


def replay(
    connection: Connection, ids: Sequence[int], by: str, send: Send, change: Change = Change()
) -> dict[int, Resolution]:
    """Send messages once more: those that a job waits for by queueing the job, the others through `send`.

    The rows are held meanwhile, so that of two people one sends. A message that went out although the transaction did
    not commit stays open; sent again it makes no second job, if it has an id.
    """
    found = _hold(connection, ids)
    done = {n: _requeue(connection, row, change) for n, row in found.items() if row["job_id"] is not None}
    whole = change.body is not None
    rest = {n: row for n, row in found.items() if n not in done}
    done |= {n: Resolution.TRUNCATED for n, row in rest.items() if row["truncated"] and not whole}
    ready = [row for n, row in rest.items() if n not in done]
    if ready:
        done |= dict(zip([row["id"] for row in ready], send(ready), strict=True))
    sent = [n for n, resolution in done.items() if resolution is Resolution.REPLAYED]
    db.run(connection, "parked.resolve", ids=sent, resolution=Resolution.REPLAYED.value, by=by)
    return _of_all(connection, ids, done)


def _hold(connection: Connection, ids: Sequence[int]) -> dict[int, db.Row]:
    """The open ones among these, locked until the transaction ends."""
    return {row["id"]: row for row in db.rows(connection, "parked.hold", ids=list(ids))}


def _of_all(connection: Connection, ids: Sequence[int], done: dict[int, Resolution]) -> dict[int, Resolution]:
    """What was done, and why nothing was done to the rest, in the order of `ids`."""
    rest = [n for n in ids if n not in done]
    known = {row["id"] for row in db.rows(connection, "parked.known", ids=rest)} if rest else set()
    nothing = {n: Resolution.ALREADY_RESOLVED if n in known else Resolution.UNKNOWN for n in rest}
    return {n: done[n] if n in done else nothing[n] for n in ids}


def _requeue(connection: Connection, row: db.Row, change: Change) -> Resolution:
    """The row is the truth: its job is queued anew, and the relay sends a fresh message."""
    if change != Change():
        return Resolution.HAS_JOB
    if db.row(connection, "parked.failed_for", job_id=row["job_id"], code=row["code"]) is None:
        return Resolution.JOB_MOVED_ON
    try:
        with connection.begin_nested():
            return Resolution.REPLAYED if jobs.retry(connection, row["job_id"]) else Resolution.JOB_MOVED_ON
    except jobs.InputsGoneError:
        return Resolution.INPUTS_GONE
    except db.REFUSED:
        return Resolution.KEY_IN_USE
