"""A message without a row, from a producer that speaks AMQP only: what it asks for, as a command."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection

from consumers.registry import Work
from infra import blobs
from infra.broker import UNREADABLE, Delivery
from infra.ids import new_id, new_traceparent
from infra.line import Wakeup
from schemas import versions
from schemas.commands import Command, Input, event_key
from schemas.fields import Strict
from schemas.registry import Kind
from schemas.versions import UnknownVersion
from schemas.wire import NORMAL_PRIORITY, Undecodable, decode_params, is_packed, queued_at

HIGHEST_PRIORITY = 9
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Unprocessable(Exception):
    """No attempt will ever make sense of this message: park it. `code` is for machines, `detail` for its producer."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Unresolved(Exception):
    """The message is sound, but a file that it names is not there: the job exists and fails."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read(delivery: Delivery, work: Mapping[str, Work]) -> Command:
    """The request in a message; its files are still as the producer named them. Raises Unprocessable.

    `message_id` is the job's id when it is a UUID, otherwise an idempotency key of this producer. Without one, a
    message that the broker delivers twice may run twice.
    """
    kind = kind_of(delivery, work)
    if is_packed(delivery.properties.get("content_type")):
        raise Unprocessable("packed_not_supported", f"{kind.name} takes one job a message")
    job_id = job_id_of(delivery)
    params = _params(delivery, kind)
    return Command(
        id=job_id or new_id(),
        kind=kind,
        params=params,
        inputs=(),
        submitted_by=submitter_of(delivery),
        via="amqp",
        unique_key=kind.live_key(params) if kind.live_key is not None else None,
        idempotency_key=_key(message_id_of(delivery)) if job_id is None else None,
        priority=priority_of(delivery.properties.get("priority")),
        traceparent=trace_of(delivery),
    )


def resolve(connection: Connection, command: Command) -> Command:
    """The command with its files found: full SHA-256s. Raises Unresolved."""
    named = command.kind.references(command.params)
    files = {file: _find(connection, file) for _, file in named}
    inputs = tuple(Input(param, files[file]) for param, file in named)
    return replace(command, inputs=inputs, params=command.kind.resolved(command.params, files))


def submitter_of(delivery: Delivery) -> str:
    """Who asks, as far as the broker has checked it."""
    return f"amqp:{delivery.properties.get('user_id') or 'producer'}"


def priority_of(given: Any) -> int:
    """A job's priority, 0 to 9, from a message's, which counts from the broker's own default."""
    return min(max(int(given) - NORMAL_PRIORITY, 0), HIGHEST_PRIORITY) if given is not None else 0


def job_id_of(delivery: Delivery) -> UUID | None:
    """The job that a message names, if its id is one."""
    try:
        return UUID(str(message_id_of(delivery)))
    except ValueError:
        return None


def wakeup_of(delivery: Delivery) -> Wakeup | None:
    """What a message says about whom it wakes, if it names a job."""
    job_id = job_id_of(delivery)
    return Wakeup(job_id, queued_at(delivery.headers)) if job_id is not None else None


def message_id_of(delivery: Delivery) -> Any:
    """The message's id. A CloudEvent without one has its own, which is unique together with its source."""
    given, event_id = delivery.properties.get("message_id"), _attribute(delivery, "id")
    if given or not event_id:
        return given
    try:
        return str(UUID(str(event_id)))
    except ValueError:
        return event_key(str(_attribute(delivery, "source")), str(event_id))


def kind_of(delivery: Delivery, work: Mapping[str, Work]) -> Kind:
    """The kind that a message asks for, by its type or else its routing key. Raises Unprocessable.

    The routing key is what the broker has let the producer say, so no type says another kind.
    """
    if UNREADABLE in delivery.headers:
        raise Unprocessable("undecodable", "the properties of the message cannot be read")
    for name in (str(delivery.properties.get("type")), str(_attribute(delivery, "type")), delivery.routing_key):
        if name in work:
            if delivery.routing_key in work and name != delivery.routing_key:
                raise Unprocessable("kind_mismatch", f"the routing key is {delivery.routing_key}, and the type {name}")
            return work[name].kind
    raise Unprocessable("unknown_kind", f"neither the type nor the routing key is one of {', '.join(sorted(work))}")


def _attribute(delivery: Delivery, name: str) -> Any:
    """An attribute of a CloudEvent in the headers, under either of the prefixes that its binding to AMQP allows."""
    return delivery.headers.get(f"cloudEvents_{name}", delivery.headers.get(f"cloudEvents:{name}"))


def _key(message_id: Any) -> str | None:
    if not message_id:
        return None
    if not str(message_id).isprintable():
        raise Unprocessable("bad_message_id", "a message id is a UUID or printable text")
    return str(message_id)


def _params(delivery: Delivery, kind: Kind) -> dict[str, Any]:
    old = kind.old_text(delivery.body) if kind.old_text is not None else None
    return checked(kind, version_of(delivery, kind), old or body_of(delivery)).model_dump(mode="json")


def body_of(delivery: Delivery) -> dict[str, Any]:
    """What a message holds, as JSON. Raises Unprocessable."""
    try:
        return decode_params(delivery.body)
    except Undecodable as error:
        raise Unprocessable("undecodable", str(error)) from None


def version_of(delivery: Delivery, kind: Kind) -> int:
    """The version of a message's parameters. Raises Unprocessable."""
    try:
        return versions.told(kind, delivery.headers)
    except UnknownVersion as error:
        raise Unprocessable("unknown_version", str(error)) from None


def checked(kind: Kind, version: int, params: dict[str, Any]) -> Strict:
    """Parameters as the newest version has them, and valid. Raises Unprocessable."""
    try:
        return kind.params.model_validate(versions.upgraded(kind, version, params))
    except UnknownVersion as error:
        raise Unprocessable("unknown_version", str(error)) from None
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}" for e in error.errors(include_url=False)
        ]
        raise Unprocessable("invalid_parameter", "; ".join(problems)[:2000]) from None


def _find(connection: Connection, reference: str) -> str:
    found = blobs.resolve(connection, reference)
    if not found:
        raise Unresolved("unknown_file", f"No file has an id that begins with {reference}.")
    if len(found) > 1:
        raise Unresolved("ambiguous_file_id", f"Several files have an id that begins with {reference}.")
    return str(found[0]["sha256"])


def trace_of(delivery: Delivery) -> str:
    """The trace that a message belongs to; one of its own if it names none."""
    return traceparent_of(delivery.headers.get("traceparent") or _attribute(delivery, "traceparent"))


def traceparent_of(given: Any) -> str:
    """The trace that a producer has begun, or a new one."""
    return given if isinstance(given, str) and TRACEPARENT.fullmatch(given) else new_traceparent()
