"""The wire format of jobs and events: the only codec. CloudEvents 1.0 in binary mode, mapped to AMQP 0-9-1 headers.

A job message is its parameters as a JSON object. Everything else is a property: `message_id` is the job's id (or the
producer's own idempotency key), `type` the kind. A foreign producer needs the routing key and the body only.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

CONTENT_TYPE = "application/json"
LARGEST_BODY = 256 * 1024
SOURCE = "reelmill"
# What a quorum queue takes a message without a priority for. On 4.0 to 4.2 up to 4 is normal and more is high, from 4.3
# on every level counts and 0 would be below everybody else's messages; 3.x reads none.
NORMAL_PRIORITY = 4


class Undecodable(Exception):
    """The body is not what its channel carries; the reason is for the producer."""


@dataclass(frozen=True)
class Message:
    """A message to publish: persistent, with a routing key and AMQP properties."""

    routing_key: str
    body: bytes
    message_id: str
    type: str
    priority: int = 0
    correlation_id: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def job_message(
    job_id: UUID, kind: str, params: dict[str, Any], priority: int = 0, traceparent: str | None = None
) -> Message:
    """The wake-up for one job. The row is the truth; this carries enough for a consumer in another language."""
    return Message(
        routing_key=kind,
        body=orjson.dumps(params),
        message_id=str(job_id),
        type=kind,
        priority=priority,
        headers=_headers(str(job_id), kind, None, traceparent),
    )


def event_message(
    seq: int,
    kind: str,
    job_id: UUID | None,
    data: dict[str, Any],
    occurred_at: datetime,
    traceparent: str | None = None,
) -> Message:
    """A fact, numbered without gaps. The routing key is its type, such as `job.split.video.succeeded`."""
    subject = str(job_id) if job_id is not None else None
    headers = _headers(str(seq), kind, subject, traceparent) | {"cloudEvents_time": occurred_at.isoformat()}
    return Message(
        routing_key=kind,
        body=orjson.dumps({"seq": seq, "job_id": subject, **data}),
        message_id=f"event-{seq}",
        type=kind,
        correlation_id=subject,
        headers=headers,
    )


def decode_params(body: bytes) -> dict[str, Any]:
    """The parameters in a job message. Raises Undecodable with the reason."""
    if len(body) > LARGEST_BODY:
        raise Undecodable(f"the body has {len(body)} bytes; the limit is {LARGEST_BODY}")
    try:
        params = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Undecodable(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(params, dict):
        raise Undecodable("the body must be a JSON object: the parameters of the job")
    return params


def _headers(event_id: str, kind: str, subject: str | None, traceparent: str | None) -> dict[str, str]:
    headers = {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": event_id,
        "cloudEvents_source": SOURCE,
        "cloudEvents_type": kind,
    }
    if subject is not None:
        headers["cloudEvents_subject"] = subject
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return headers
