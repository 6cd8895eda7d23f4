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
from infra.broker import Delivery
from infra.ids import new_id, new_traceparent
from schemas.commands import Command, Input
from schemas.registry import Kind
from schemas.wire import NORMAL_PRIORITY, Undecodable, decode_params

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
    kind = _kind(delivery, work)
    job_id = job_id_of(delivery)
    return Command(
        id=job_id or new_id(),
        kind=kind,
        params=_params(delivery.body, kind),
        inputs=(),
        submitted_by=f"amqp:{delivery.properties.get('user_id') or 'producer'}",
        via="amqp",
        idempotency_key=_key(delivery.properties.get("message_id")) if job_id is None else None,
        priority=_priority(delivery.properties.get("priority")),
        traceparent=_traceparent(delivery.headers.get("traceparent")),
    )


def resolve(connection: Connection, command: Command) -> Command:
    """The command with its files found: full SHA-256s. Raises Unresolved."""
    inputs = tuple(Input(param, _find(connection, command.params[param])) for param in command.kind.inputs)
    return replace(command, inputs=inputs, params=command.params | {i.param: i.sha256 for i in inputs})


def _priority(given: Any) -> int:
    """A job's priority, 0 to 9, from a message's, which counts from the broker's own default."""
    return min(max(int(given) - NORMAL_PRIORITY, 0), HIGHEST_PRIORITY) if given is not None else 0


def job_id_of(delivery: Delivery) -> UUID | None:
    """The job that a message names, if its id is one."""
    try:
        return UUID(str(delivery.properties.get("message_id")))
    except ValueError:
        return None


def _kind(delivery: Delivery, work: Mapping[str, Work]) -> Kind:
    for name in (str(delivery.properties.get("type")), delivery.routing_key):
        if name in work:
            return work[name].kind
    raise Unprocessable("unknown_kind", f"neither the type nor the routing key is one of {', '.join(sorted(work))}")


def _key(message_id: Any) -> str | None:
    if not message_id:
        return None
    if not str(message_id).isprintable():
        raise Unprocessable("bad_message_id", "a message id is a UUID or printable text")
    return str(message_id)


def _params(body: bytes, kind: Kind) -> dict[str, Any]:
    try:
        return kind.params.model_validate(decode_params(body)).model_dump(mode="json")
    except Undecodable as error:
        raise Unprocessable("undecodable", str(error)) from None
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


def _traceparent(given: Any) -> str:
    return given if isinstance(given, str) and TRACEPARENT.fullmatch(given) else new_traceparent()
