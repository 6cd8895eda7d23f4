"""A parked message on its way back to the exchange: as it came, without what brokers and we have added to it."""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Any

import anyio.from_thread
import orjson
from starlette.requests import Request

from gateway.services import services
from infra import db
from infra.publisher import Confirmation, Publisher
from infra.resolutions import Change, Resolution, Send
from infra.topology import JOBS
from schemas.registry import KINDS
from schemas.wire import CONTENT_TYPE, NORMAL_PRIORITY, VERSION, Message

LONGEST_SHORT_STRING = 255
LARGEST_HEADERS = 64 * 1024
OURS = "reelmill-"
BROKERS = "x-"
FATES = {
    Confirmation.ACKED: Resolution.REPLAYED,
    Confirmation.NACKED: Resolution.REFUSED,
    Confirmation.RETURNED: Resolution.UNROUTABLE,
    Confirmation.UNKNOWN: Resolution.UNCONFIRMED,
    Confirmation.UNAVAILABLE: Resolution.UNAVAILABLE,
}


def sender(request: Request, change: Change) -> Send:
    """What sends rows of parked messages, from the thread of a transaction, and tells their fates in the same order."""
    publisher = services(request).publisher

    def send(rows: Sequence[db.Row]) -> Sequence[Resolution]:
        return anyio.from_thread.run(_send, publisher, [_message(row, change) for row in rows])

    return send


async def _send(publisher: Publisher, messages: Sequence[Message]) -> list[Resolution]:
    return await asyncio.gather(*(_send_one(publisher, message) for message in messages))


async def _send_one(publisher: Publisher, message: Message) -> Resolution:
    # The exchange hands what no queue is bound for to its alternate, and the broker calls that delivered: the message
    # would come back as another row.
    if message.routing_key not in KINDS:
        return Resolution.UNROUTABLE
    return FATES[await publisher.publish(JOBS, message)]


def _message(row: db.Row, change: Change) -> Message:
    told = row["properties"]
    given = told.get("priority")
    return Message(
        routing_key=change.routing_key or row["routing_key"],
        body=change.body if change.body is not None else bytes(row["body"]),
        message_id=_short(row["message_id"]),
        type=_short(told.get("type")),
        priority=given - NORMAL_PRIORITY if isinstance(given, int) else 0,
        correlation_id=_short(told.get("correlation_id")) or None,
        headers=_headers(row["headers"]),
        content_type=_short(told.get("content_type")) or CONTENT_TYPE,
    )


def _headers(recorded: dict[str, Any]) -> dict[str, Any]:
    """The producer's own headers and the version of the parameters. What would not fit a frame is left behind."""
    own = {name: _value(value) for name, value in recorded.items() if _is_producers(name)}
    return own if len(orjson.dumps(recorded)) <= LARGEST_HEADERS else {k: v for k, v in own.items() if k == VERSION}


def _is_producers(name: str) -> bool:
    ours = name.lower().startswith((OURS, BROKERS)) and name != VERSION
    return not ours and bool(_short(name))


def _value(recorded: Any) -> Any:
    """Bytes were written down as `{"base64": ...}`."""
    if isinstance(recorded, dict) and set(recorded) == {"base64"}:
        try:
            return base64.b64decode(recorded["base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            return recorded
    return recorded


def _short(value: Any) -> str:
    """Text that fits where AMQP has short strings; nothing where it does not."""
    text = value if isinstance(value, str) else ""
    return text if len(text.encode()) <= LONGEST_SHORT_STRING else ""
