"""From a body to a command: the kind exists, its parameters are valid, its files are there. Refused here or never."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request

from gateway import models, ownership
from gateway.problems import Problem, invalid, over_quota
from gateway.references import sha256_of
from gateway.services import services
from infra.ids import new_id
from infra.submission import Receipt, Verdict
from infra.tokens import Identity, Role
from schemas.commands import LONGEST_KEY, Command, Input
from schemas.jobs import JobRequest
from schemas.registry import KINDS, Kind

Files = Mapping[str, str]
"""From what a caller calls a file to its SHA-256."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a job is wanted, beside what. `id` only where the caller has chosen it."""

    key: str | None = None
    priority: int = 0
    run_at: datetime | None = None
    id: UUID | None = None
    concurrency_key: str | None = None
    after: tuple[UUID, ...] = ()
    after_failure: str = "cancel"

    @classmethod
    def of(cls, wanted: JobRequest) -> "Terms":
        """The terms in a request."""
        return cls(
            wanted.key,
            wanted.priority,
            wanted.run_at,
            wanted.id,
            wanted.concurrency_key,
            tuple(wanted.after),
            wanted.after_failure,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for one job, whatever it came as. `traceparent` only where it brought its own."""

    kind: str
    params: dict[str, Any]
    terms: Terms = Terms()
    idempotency: str | None = None
    traceparent: str | None = None
    vouched: bool = False
    """Whether an address of its own has looked who asks."""


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf jobs are asked for, and within which trace."""

    identity: Identity
    traceparent: str


async def submit(
    request: Request, kind: str, params: dict[str, Any], terms: Terms = Terms(), vouched: bool = False
) -> Receipt:
    """Check a request for work and commit it. Returns the receipt of a job that exists; raises a problem otherwise."""
    return (await accept(request, Asked(kind, params, terms, vouched=vouched)))[1]


async def accept(request: Request, asked: Asked) -> tuple[Command, Receipt]:
    """Like `submit`, with the command that was committed. Without a key of its own, the header's counts."""
    header = idempotency_key(request)
    given = services(request)
    kind, params = check(asked.kind, asked.params)
    admit(request.state.identity, kind, asked.vouched)
    given.pressure.check(kind.consumer)
    await ownership.require(request, kind, params, asked.terms.after, asked.vouched)
    params = await models.pinned(request, kind.name, params)
    files = {file: await sha256_of(request, file) for _, file in kind.references(params)}
    who = caller(request)
    command = build(who, kind, params, asked, files, header)
    receipt = await given.outbox.submit(command, who.identity.live_jobs)
    problem = refusal(receipt)
    if problem is not None:
        raise problem
    return command, receipt


def caller(request: Request) -> Caller:
    """Who makes this request."""
    return Caller(request.state.identity, request.state.traceparent)


def admit(identity: Identity, kind: Kind, vouched: bool = False) -> None:
    """Raises a 403 problem for a guarded kind that nobody vouches for, unless an admin asks."""
    if kind.guarded and not vouched and not identity.may(Role.ADMIN):
        raise Problem(403, "guarded_kind", f"{kind.name} is asked for at an address of its own: see the OpenAPI page.")


def check(name: str, params: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    """The kind, and its complete parameters. Raises a 400 problem."""
    kind = KINDS.get(name)
    if kind is None:
        raise Problem(400, "unknown_kind", f"There is no kind {name!r}.", kinds=sorted(KINDS))
    try:
        return kind, kind.params.model_validate(params).model_dump(mode="json")
    except ValidationError as error:
        raise invalid(error, "params") from None


def build(
    who: Caller, kind: Kind, params: dict[str, Any], asked: Asked, files: Files, header: str | None = None
) -> Command:
    """The command for checked parameters, whose files have been found. `header` is the Idempotency-Key of a request."""
    terms = asked.terms
    inputs = tuple([Input(param, files[file]) for param, file in kind.references(params)])
    return Command(
        id=terms.id or new_id(),
        kind=kind,
        params=kind.resolved(params, files) if inputs else params,
        inputs=inputs,
        submitted_by=who.identity.name,
        via="http",
        unique_key=terms.key or (kind.live_key(params) if kind.live_key is not None else None),
        idempotency_key=asked.idempotency or header,
        priority=terms.priority,
        traceparent=asked.traceparent or who.traceparent,
        run_at=terms.run_at,
        concurrency_key=terms.concurrency_key,
        after=terms.after,
        after_failure=terms.after_failure,
        fresh=terms.id is None,
    )


def refusal(receipt: Receipt) -> Problem | None:
    """The problem of a command that made no job and found none; None for one that did."""
    if receipt.verdict is Verdict.OVER_QUOTA:
        return over_quota()
    make = REFUSALS.get(receipt.verdict)
    return Problem(*make) if make is not None else None


REFUSALS = {
    Verdict.KEY_REUSED: (422, "idempotency_key_reused", "This Idempotency-Key was used with another request."),
    Verdict.ID_REUSED: (409, "id_reused", "There is a job with this id, and another request made it."),
    Verdict.UNKNOWN_FILE: (404, "unknown_file", "A file of this job is not there, or not any more."),
    Verdict.UNKNOWN_NEED: (404, "unknown_dependency", "A job that this one is to wait for does not exist."),
}


def idempotency_key(request: Request) -> str | None:
    """The header of that name. Raises a 400 problem for one that is no key."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise Problem(400, "bad_idempotency_key", f"An Idempotency-Key has 1 to {LONGEST_KEY} printable characters.")
    return key
