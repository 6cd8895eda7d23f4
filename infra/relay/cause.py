"""Why a message lies in a parking queue, read from what it carries; all of it as values that JSON can hold. Pure."""

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from infra.broker import Delivery
from infra.parked import Parked
from infra.topology import UNROUTABLE

LONGEST_DETAIL = 2000
DEEPEST = 16
DIGEST = 16
VARIABLE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{12,}\b|\d+", re.IGNORECASE)
BROKER_SAYS = {
    "delivery_limit": "it was delivered again and again, and nobody could take it",
    "rejected": "its consumer refused it and could not say why",
    "expired": "nobody took it before it expired",
    "maxlen": "its queue was full",
}


class _Cause(NamedTuple):
    queue: str
    routing_key: str
    code: str
    detail: str
    identity: str | None = None


def parked(queue: str, delivery: Delivery) -> Parked:
    """The record of a message that came out of the parking queue `queue`."""
    cause = _cause(queue, delivery)
    message_id = delivery.properties.get("message_id")
    return Parked(
        queue=text(cause.queue),
        routing_key=text(cause.routing_key),
        code=text(cause.code),
        detail=text(cause.detail)[:LONGEST_DETAIL],
        fingerprint=fingerprint(cause.queue, cause.routing_key, cause.code, cause.detail),
        body=delivery.body,
        properties=_table(delivery.properties),
        headers=_table(delivery.headers),
        message_id=text(message_id) if message_id else None,
        identity=cause.identity,
        redelivered=delivery.redelivered,
    )


def fingerprint(queue: str, routing_key: str, code: str, detail: str) -> str:
    """Equal for messages with the same cause, whatever numbers and ids they name. 16 hex digits."""
    parts = [VARIABLE.sub("#", text(part)) for part in (queue, routing_key, code, detail)]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:DIGEST]


def text(value: Any) -> str:
    """Text that the database takes: no NUL, no halves of characters."""
    made = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return made.replace("\0", "\ufffd").encode(errors="replace").decode()


def plain(value: Any, depth: int = 0) -> Any:
    """A header's value as JSON. Bytes that are no text become `{"base64": ...}`."""
    match value:
        case dict() | list() if depth >= DEEPEST:
            made: Any = "..."
        case dict():
            made = {text(key): plain(item, depth + 1) for key, item in value.items()}
        case list():
            made = [plain(item, depth + 1) for item in value]
        case None | bool() | int():
            made = value
        case float() if math.isfinite(value):
            made = value
        case bytes():
            made = _text_or_base64(value)
        case datetime():
            made = value.isoformat()
        case _:
            made = text(value)
    return made


def _text_or_base64(value: bytes) -> Any:
    try:
        return text(value.decode())
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _table(values: Mapping[str, Any]) -> dict[str, Any]:
    return {text(key): plain(value) for key, value in values.items()}


def _cause(queue: str, delivery: Delivery) -> _Cause:
    if queue == UNROUTABLE:
        return _Cause(queue, delivery.routing_key, "unroutable", "no queue is bound for this routing key")
    # The broker's word first: a producer may write what he likes into the other headers.
    death = _death(delivery)
    if death:
        return _by_broker(delivery, death)
    reason = delivery.headers.get("reelmill-reason")
    if not isinstance(reason, str):
        return _Cause(queue, delivery.routing_key, "no_reason", "it was sent here without a reason")
    code, _, detail = reason.partition(": ")
    told = delivery.headers
    key = told.get("reelmill-routing-key", delivery.routing_key)
    return _Cause(str(told.get("reelmill-queue", queue)), str(key), code, detail, _own_identity(told))


def _death(delivery: Delivery) -> dict[str, Any]:
    """How the broker came to move it here, the last time."""
    deaths = delivery.headers.get("x-death")
    latest = deaths[0] if isinstance(deaths, list) and deaths else None
    return latest if isinstance(latest, dict) else {}


def _by_broker(delivery: Delivery, death: dict[str, Any]) -> _Cause:
    code = str(death.get("reason", "dead_lettered"))
    keys = death.get("routing-keys")
    key = str(keys[0]) if isinstance(keys, list) and keys else delivery.routing_key
    detail = BROKER_SAYS.get(code, "the broker moved it here")
    return _Cause(str(death.get("queue", "")), key, code, detail, _identity_of(delivery, death))


def _identity_of(delivery: Delivery, death: dict[str, Any]) -> str | None:
    """Two messages without an id may be equal to the last byte, and still be two: then nothing tells them apart."""
    message_id = delivery.properties.get("message_id")
    if not message_id:
        return None
    told = [text(message_id), text(death.get("queue")), text(death.get("reason")), text(death.get("time"))]
    return hashlib.sha256(orjson.dumps(told) + delivery.body).hexdigest()


def _own_identity(headers: Mapping[str, Any]) -> str | None:
    """Whoever parks a message of ours gives it a number of its own."""
    try:
        return str(UUID(str(headers.get("reelmill-parked"))))
    except ValueError:
        return None
