"""Webhooks as rows: who wants which facts, what is under way to them, and what became of it."""

import base64
import secrets
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db, events
from infra.ids import new_id
from schemas.events import expression

#: More than this is a broadcast: bind a queue to the exchange instead.
MOST = 100
#: Deliveries of one webhook that may be under way. The facts behind them wait in their own table.
MOST_PENDING = 10_000
OVERLAP_SECONDS = 24 * 3600.0
PATIENCE_SECONDS = 3 * 24 * 3600.0
KEY_BYTES = 32


def add(connection: Connection, url: str, types: Sequence[str], created_by: str) -> tuple[UUID, str] | None:
    """Make a webhook that begins with the next fact. Returns its id and its secret, None when there are too many."""
    webhook_id, secret = new_id(), _new_secret()
    head = events.span(connection).head
    values: dict[str, Any] = {"url": url, "secret": secret, "types": types, "created_by": created_by}
    made = db.run(connection, "webhooks.insert", id=webhook_id, seen_seq=head, most=MOST, **values)
    return (webhook_id, secret) if made else None


def get(connection: Connection, webhook_id: UUID) -> db.Row | None:
    """One webhook, without its secret."""
    return db.row(connection, "webhooks.get", id=webhook_id)


def listing(connection: Connection) -> Sequence[db.Row]:
    """All webhooks, oldest first."""
    return db.rows(connection, "webhooks.listing")


def delete(connection: Connection, webhook_id: UUID) -> bool:
    """Forget a webhook and its deliveries. False when there is none."""
    return db.run(connection, "webhooks.delete", id=webhook_id) == 1


def rotate(connection: Connection, webhook_id: UUID) -> str | None:
    """Give a webhook a new secret and return it; the old one signs beside it for a day. None when there is none."""
    secret = _new_secret()
    changed = db.run(connection, "webhooks.rotate", id=webhook_id, secret=secret, overlap=OVERLAP_SECONDS)
    return secret if changed else None


def enable(connection: Connection, webhook_id: UUID) -> bool:
    """Have a disabled webhook go on where it stopped. False when it is not disabled."""
    return db.run(connection, "webhooks.enable", id=webhook_id) == 1


def disable(connection: Connection, webhook_id: UUID, reason: str) -> bool:
    """Send nothing more, and tell so. What is pending stays pending. False when it was disabled already."""
    changed = db.run(connection, "webhooks.disable", id=webhook_id, reason=reason) == 1
    if changed:
        events.tell(connection, "webhook.disabled", {"webhook_id": webhook_id, "reason": reason})
    return changed


def try_out(connection: Connection, webhook_id: UUID, traceparent: str | None) -> None:
    """Have a fact delivered to this webhook that tells nothing, by the way that all of them go."""
    events.tell(connection, "webhook.test", {"webhook_id": webhook_id}, traceparent=traceparent)


def deliveries(connection: Connection, webhook_id: UUID, before: int | None, limit: int) -> Sequence[db.Row]:
    """Deliveries of a webhook, newest first, older than the number `before`."""
    return db.rows(connection, "webhooks.deliveries", id=webhook_id, before=before, limit=limit)


def behind(connection: Connection) -> Sequence[db.Row]:
    """Webhooks (`id`, `types`) for which there are facts that nobody has looked at."""
    return db.rows(connection, "webhooks.behind")


def collect(connection: Connection, webhook_id: UUID, types: Sequence[str], batch: int) -> bool:
    """Look at the next facts, note deliveries of those that are wanted, and how far was looked; True if there are more.

    All in one transaction, so that a crash neither loses a fact nor notes it twice.
    """
    hook = db.row(connection, "webhooks.lock", id=webhook_id, most=MOST_PENDING)
    if hook is None or hook["pending"] >= MOST_PENDING:
        return False
    since, looks = hook["seen_seq"], min(batch, MOST_PENDING - hook["pending"])
    reach = db.rows(connection, "events.reach", since=since, looks=looks)[0]["seq"]
    if reach is None:
        return False
    wanted = expression(types)
    db.run(connection, "webhooks.collect", id=webhook_id, since=since, reach=reach, types=wanted)
    db.run(connection, "webhooks.seen", id=webhook_id, reach=reach)
    return bool(reach - since >= looks)


def with_due(connection: Connection) -> list[UUID]:
    """Webhooks to which something is to be delivered now."""
    return [row["id"] for row in db.rows(connection, "webhooks.with_due")]


def due(connection: Connection, webhook_id: UUID, batch: int) -> Sequence[db.Row]:
    """Deliveries to make now, each with its webhook's address and secrets and with the fact (`id` null: it is gone)."""
    return db.rows(connection, "webhooks.due", id=webhook_id, batch=batch)


def delivered(connection: Connection, webhook_id: UUID, seq: int, status: int) -> None:
    """Note that the other side has it."""
    db.run(connection, "webhooks.delivered", id=webhook_id, seq=seq, status=status)
    db.run(connection, "webhooks.well", id=webhook_id)


def refused(
    connection: Connection, webhook_id: UUID, seq: int, status: int | None, error: str, delay_seconds: float | None
) -> None:
    """Note that an attempt failed: tried again after the delay, or never. An endpoint that fails for days is let go."""
    values: dict[str, Any] = {"status": status, "error": error, "delay": delay_seconds}
    db.run(connection, "webhooks.refused", id=webhook_id, seq=seq, **values)
    row = db.row(connection, "webhooks.failing", id=webhook_id, patience=PATIENCE_SECONDS)
    if row is not None and row["hopeless"]:
        disable(connection, webhook_id, "failing")


def forget(connection: Connection) -> int:
    """Drop the deliveries of facts that retention has taken. Returns how many went."""
    return db.run(connection, "webhooks.forget")


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
