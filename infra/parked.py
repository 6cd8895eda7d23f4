"""Messages that nobody could process, as rows: recorded once, and looked at.

The job of a message that nobody could take is not lost: that counts as a failed attempt, so it is tried again after a
back-off, and fails for good with the message's code when its attempts are spent. Replaying the message retries the job.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import claims, db, steps
from infra.topology import queue_of
from schemas.registry import KINDS

KEPT_BODY = 1024 * 1024
"""Bytes of a body that are kept: four times what any consumer reads."""
MOST_IN_A_GROUP = 1000
POISON = "delivery_limit"
POSTPONED = frozenset({"rejected", "unstorable"})
"""Codes that speak of a mistake of ours, whosever job the message names: that job is tried again later, uncharged."""
RELAY = "relay"


@dataclass(frozen=True)
class Parked:
    """A message to record. `identity` is equal for one message delivered twice, None where nothing tells.

    Two messages may have the same one, too (the broker tells the time in seconds): then neither is `redelivered`.
    """

    queue: str
    routing_key: str
    code: str
    detail: str
    fingerprint: str
    body: bytes
    properties: dict[str, Any]
    headers: dict[str, Any]
    message_id: str | None = None
    identity: str | None = None
    redelivered: bool = True


@dataclass(frozen=True)
class Filter:
    """Which messages: every field that is not None has to fit."""

    code: str | None = None
    queue: str | None = None
    fingerprint: str | None = None
    ids: Sequence[int] | None = None
    open: bool = True


def record(connection: Connection, messages: Sequence[Parked]) -> int:
    """Write messages down, each once where it has an identity, and charge their jobs. Returns how many were new."""
    made = db.rows(
        connection,
        "parked.record",
        queue=[m.queue for m in messages],
        routing_key=[m.routing_key for m in messages],
        code=[m.code for m in messages],
        detail=[m.detail for m in messages],
        fingerprint=[m.fingerprint for m in messages],
        message_id=[m.message_id for m in messages],
        body=[m.body[:KEPT_BODY] for m in messages],
        size=[len(m.body) for m in messages],
        properties=db.documents(m.properties for m in messages),
        headers=db.documents(m.headers for m in messages),
        identity=[m.identity for m in messages],
        redelivered=[m.redelivered for m in messages],
    )
    for row in made:
        if row["code"] == POISON or row["code"] in POSTPONED:
            _charge(connection, row)
    return len(made)


def get(connection: Connection, parked_id: int, most: int) -> db.Row | None:
    """One message with at most `most` bytes of its body; `size` counts them all."""
    return db.row(connection, "parked.get", id=parked_id, most=most)


def page(connection: Connection, wanted: Filter, before: int | None, limit: int) -> Sequence[db.Row]:
    """Messages without their bodies, newest first, with an id below `before`."""
    return db.rows(connection, "parked.page", before=before, limit=limit, **_named(wanted))


def groups(connection: Connection, after: str | None, limit: int) -> Sequence[db.Row]:
    """Open messages by their cause, in the order of the fingerprints. Of each at most MOST_IN_A_GROUP are counted."""
    return db.rows(connection, "parked.groups", after=after or "", limit=limit, most=MOST_IN_A_GROUP)


def open_count(connection: Connection, most: int) -> int:
    """How many messages wait for somebody to look at them; counting stops at `most`."""
    [row] = db.rows(connection, "parked.open_count", most=most)
    return int(row["messages"])


def _charge(connection: Connection, made: db.Row) -> None:
    """A message that nobody could take is a failed attempt of the job that it names, if that still waits for it."""
    try:
        job_id = UUID(str(made["message_id"]))
    except ValueError:
        return
    row = db.row(connection, "parked.job", id=job_id)
    kind = KINDS.get(row["kind"]) if row is not None else None
    if row is None or kind is None or queue_of(kind.consumer) != made["queue"]:
        return
    told = {
        "id": job_id,
        "code": made["code"],
        "message": f"Its message is parked as number {made['id']}: {made['detail']}",
    }
    db.run(connection, "parked.of_job", id=made["id"], job_id=job_id)
    charge = int(made["code"] == POISON)
    if charge and row["attempt"] + 1 >= row["max_attempts"]:
        db.run(connection, "parked.give_up", **told)
        steps.discard(connection, job_id)
        return
    back_off = claims.back_off(kind.limits, row["attempt"] + 1)
    delay = back_off if charge else kind.limits.longest_retry_seconds
    db.run(connection, "parked.retry_later", charge=charge, delay=delay, **told)
    db.run(connection, "parked.resolve", ids=[made["id"]], resolution="replayed", by=RELAY)


def _named(wanted: Filter) -> dict[str, Any]:
    ids = list(wanted.ids) if wanted.ids is not None else None
    return {
        "code": wanted.code,
        "queue": wanted.queue,
        "fingerprint": wanted.fingerprint,
        "ids": ids,
        "open": wanted.open,
    }
