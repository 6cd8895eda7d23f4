"""`/v1/collections/{name}/leases`: take items, keep them, give them back, say what became of them."""

from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway import ownership
from gateway.bodies import M, read
from gateway.problems import Problem, invalid, unavailable
from gateway.services import services
from gateway.wire import gone
from infra.ids import new_name
from infra.questions import NoAnswer
from infra.tokens import Identity, Role
from schemas.leases import (
    LONGEST_REQUEST_ID,
    ORDER,
    Extension,
    Giving,
    LeaseRequest,
    Moves,
    Order,
    Submission,
)

JSON = "application/json"


async def acquire(request: Request) -> Response:
    """Take items: at most `count`, under one lease. Without any, `retry_seconds` says when to come again.

    The same `Idempotency-Key` again gives the same lease.
    """
    asked = await read(request, LeaseRequest)
    return await reply(request, "acquire", asked.model_dump(exclude_none=True) | {"request_id": request_id(request)})


async def extend(request: Request) -> Response:
    """Hold a lease for longer. 409 when it is over."""
    return await _about_lease(request, "extend", await optional(request, Extension))


async def release(request: Request) -> Response:
    """Give items back, at once and uncharged: all that the lease still holds, or those that are named."""
    return await _about_lease(request, "release", await optional(request, Giving))


async def submit(request: Request) -> Response:
    """Say what became of items; `next` takes the following ones in the same step. 409 when nothing of it counts."""
    return await _about_lease(request, "submit", await read(request, Submission), request_id=request_id(request))


async def move(request: Request) -> Response:
    """Set states of items by hand. Only producers may do so with items that somebody else holds."""
    asked = await read(request, Moves)
    override = identity(request).may(Role.PRODUCER)
    return await reply(request, "move", asked.model_dump(exclude_none=True) | {"override": override})


async def _about_lease(request: Request, op: str, asked: Any, **more: Any) -> Response:
    try:
        lease = UUID(request.path_params["lease"])
    except ValueError:
        raise Problem(404, "unknown_lease", "You have no such lease in this collection.") from None
    return await reply(request, op, asked.model_dump(exclude_none=True) | {"lease": lease} | more)


async def optional(request: Request, model: type[M]) -> M:
    """The body, which may be left out."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return model()
    return await read(request, model)


async def reply(request: Request, op: str, terms: dict[str, Any]) -> Response:
    """Ask the dispatcher in the name of the caller. What he does not live to hear is given back."""
    order = order_of(request, request.path_params["name"], op, terms)
    body = await answered(request, order)
    if gone(request.receive):
        services(request).questions.abandon(order)
    return Response(body, media_type=JSON)


def order_of(request: Request, collection: str, op: str, terms: dict[str, Any]) -> Order:
    """An order in the name of the caller. Raises a 400 problem, which names fields as the caller does."""
    try:
        return ORDER.validate_python({"op": op, "collection": collection, "owner": identity(request).name} | terms)
    except ValidationError as error:
        raise invalid(error, innermost=True) from None


async def answered(request: Request, order: Order) -> bytes:
    """The dispatcher's answer. Raises its refusal as a problem, and a 503 when it does not answer."""
    await ownership.require_order(request, order)
    try:
        told = await services(request).questions.ask(order, comes_again="idempotency-key" in request.headers)
    except NoAnswer:
        raise unavailable("dispatcher_unavailable", "Nobody hands out items right now; try again shortly.") from None
    if told.status >= 400:
        document = orjson.loads(told.body)
        if told.status == 503:
            raise unavailable(document["code"], document["detail"])
        raise Problem(told.status, document.pop("code"), document.pop("detail", ""), **document)
    return told.body


def identity(request: Request) -> Identity:
    """Who calls."""
    found: Identity = request.state.identity
    return found


def request_id(request: Request) -> str:
    """The caller's key for this request, or one of our own, so that a lost answer can be found again."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return new_name()
    if not (0 < len(key) <= LONGEST_REQUEST_ID and key.isprintable()):
        raise Problem(
            400, "bad_idempotency_key", f"An Idempotency-Key has 1 to {LONGEST_REQUEST_ID} printable characters."
        )
    return key
