"""The wire format of jobs and events: the only codec. CloudEvents 1.0 in binary mode, mapped to AMQP 0-9-1 headers.

A job message is its parameters as a JSON object. Everything else is a property: `message_id` is the job's id (or the
producer's own idempotency key), `type` the kind. A foreign producer needs the routing key and the body only.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from pydantic import Field, ValidationError

from schemas.fields import Strict

CONTENT_TYPE = "application/json"
PACKED = "application/x-ndjson"
"""The content type of a message with many jobs of one kind of the fast lane, one a line."""
MOST_LINES = 500
LARGEST_BODY = 256 * 1024
SOURCE = "reelmill"
VERSION = "reelmill-version"
"""The header that says the version of a job's parameters; without it they are of version 1."""
QUEUED_AT = "reelmill-queued-at"
"""The header of our own wake-ups that says which queueing of its job one is for: microseconds since 1970."""
SCHEMAS = "urn:reelmill:"
# What a quorum queue takes a message without a priority for. On 4.0 to 4.2 up to 4 is normal and more is high, from 4.3
# on every level counts and 0 would be below everybody else's messages; 3.x reads none.
NORMAL_PRIORITY = 4
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


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
    headers: dict[str, Any] = field(default_factory=dict)
    content_type: str = CONTENT_TYPE


def job_message(
    job_id: UUID,
    kind: str,
    params: dict[str, Any],
    priority: int = 0,
    traceparent: str | None = None,
    version: int = 1,
    queued_at: datetime | None = None,
) -> Message:
    """The wake-up for one job. The row is the truth; this carries enough for a consumer in another language."""
    queueing = {QUEUED_AT: (queued_at - EPOCH) // MICROSECOND} if queued_at is not None else {}
    return Message(
        routing_key=kind,
        body=orjson.dumps(params),
        message_id=str(job_id),
        type=kind,
        priority=priority,
        headers=_headers(str(job_id), kind, None, traceparent) | _version(kind, version) | queueing,
    )


def queued_at(headers: Mapping[str, Any]) -> datetime | None:
    """Which queueing of its job a message is for; None when it does not say, as those of other producers."""
    told = headers.get(QUEUED_AT)
    try:
        return EPOCH + told * MICROSECOND if isinstance(told, int) else None
    except OverflowError:
        return None


class PackedJob(Strict):
    """One line of a packed message."""

    id: UUID
    params: dict[str, Any]
    priority: int = Field(0, ge=0, le=9)
    traceparent: str | None = None


def packed_messages(kind: str, jobs: Iterable[PackedJob], version: int = 1) -> Iterator[Message]:
    """The wake-ups of many jobs of one kind of the fast lane, in few messages: in their order, within the limits."""
    lines: list[bytes] = []
    size = 0
    first: PackedJob | None = None
    for job in jobs:
        line = _line(job)
        if first is not None and (len(lines) == MOST_LINES or size + len(line) > LARGEST_BODY):
            yield _packed(first, kind, lines, version)
            lines, size, first = [], 0, None
        if len(line) > LARGEST_BODY:  # its parameters alone may still fit
            yield job_message(job.id, kind, job.params, job.priority, job.traceparent, version)
            continue
        first = first or job
        lines.append(line)
        size += len(line)
    if first is not None:
        yield _packed(first, kind, lines, version)


def is_packed(content_type: Any) -> bool:
    """Whether a message of this content type has many jobs."""
    return isinstance(content_type, str) and content_type.partition(";")[0].strip().lower() == PACKED


def jobs_in(message: Message) -> int:
    """How many jobs a message of ours wakes up."""
    return message.body.count(b"\n") if is_packed(message.content_type) else 1


def decode_packed(body: bytes) -> list[tuple[bytes, PackedJob | Undecodable]]:
    """The lines of a packed message, each with its job or with what is wrong with it. Raises Undecodable for the whole.

    A line is `{"id": "<uuid>", "params": {...}}`, with `priority` (0 to 9) and `traceparent` if there are any.
    """
    if len(body) > LARGEST_BODY:
        raise Undecodable(f"the body has {len(body)} bytes; the limit is {LARGEST_BODY}")
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    if not 0 < len(lines) <= MOST_LINES:
        raise Undecodable(f"the body has {len(lines)} lines; a packed message has 1 to {MOST_LINES}")
    return [(line, _unpacked(line)) for line in lines]


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


def _line(job: PackedJob) -> bytes:
    told: dict[str, Any] = {"id": job.id, "params": job.params}
    if job.priority:
        told["priority"] = job.priority
    if job.traceparent is not None:
        told["traceparent"] = job.traceparent
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def _packed(first: PackedJob, kind: str, lines: list[bytes], version: int) -> Message:
    name = f"pack-{first.id}"  # no job's id, nor anybody's idempotency key
    return Message(
        routing_key=kind,
        body=b"".join(lines),
        message_id=name,
        type=kind,
        headers=_headers(name, kind, None, None) | _version(kind, version),
        content_type=PACKED,
    )


def _unpacked(line: bytes) -> PackedJob | Undecodable:
    try:
        return PackedJob.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        return Undecodable(f"the line is not JSON: {error.msg} at character {error.pos}")
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        return Undecodable(f"{'.'.join(map(str, problem['loc'])) or 'the line'}: {problem['msg']}")


def _version(kind: str, version: int) -> dict[str, Any]:
    return {VERSION: version, "cloudEvents_dataschema": f"{SCHEMAS}{kind}.v{version}"}


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
