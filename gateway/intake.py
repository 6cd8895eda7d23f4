"""From a body to a command: the kind exists, its parameters are valid, its files are there. Refused here or never."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from gateway.problems import Problem, invalid
from gateway.references import resolve
from gateway.services import services
from infra.ids import new_id
from infra.submission import Receipt, Verdict
from infra.tokens import Identity
from schemas.commands import Command, Input
from schemas.registry import KINDS, Kind

LONGEST_KEY = 200


@dataclass(frozen=True)
class Terms:
    """How a job is wanted, beside what: a live key, a priority, a time not to start before."""

    key: str | None = None
    priority: int = 0
    run_at: datetime | None = None


async def submit(request: Request, kind: str, params: dict[str, Any], terms: Terms = Terms()) -> Receipt:
    """Check a request for work and commit it. Returns the receipt of a job that exists; raises a problem otherwise."""
    command = await _command(request, kind, params, terms)
    receipt = await services(request).outbox.submit(command)
    if receipt.verdict is Verdict.KEY_REUSED:
        raise Problem(422, "idempotency_key_reused", "This Idempotency-Key was used with another request.")
    if receipt.verdict is Verdict.UNKNOWN_FILE:
        raise Problem(404, "unknown_file", "A file of this job has just been deleted.")
    return receipt


async def _command(request: Request, name: str, params: dict[str, Any], terms: Terms) -> Command:
    kind = KINDS.get(name)
    if kind is None:
        raise Problem(400, "unknown_kind", f"There is no kind {name!r}.", kinds=sorted(KINDS))
    try:
        checked = kind.params.model_validate(params).model_dump(mode="json")
    except ValidationError as error:
        raise invalid(error, "params") from None
    inputs = await _inputs(request, kind, checked)
    identity: Identity = request.state.identity
    return Command(
        id=new_id(),
        kind=kind,
        params=checked | {i.param: i.sha256 for i in inputs},
        inputs=inputs,
        submitted_by=identity.name,
        via="http",
        unique_key=terms.key,
        idempotency_key=_idempotency_key(request),
        priority=terms.priority,
        traceparent=request.state.traceparent,
        run_at=terms.run_at,
    )


async def _inputs(request: Request, kind: Kind, params: dict[str, Any]) -> tuple[Input, ...]:
    return tuple([Input(param, (await resolve(request, params[param]))["sha256"]) for param in kind.inputs])


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise Problem(400, "bad_idempotency_key", f"An Idempotency-Key has 1 to {LONGEST_KEY} printable characters.")
    return key
