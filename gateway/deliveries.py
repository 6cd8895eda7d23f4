"""`/v1/deliveries`: content is there; a job checks it against the manifests."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import names, queries
from gateway.bodies import LARGEST_PAGE, integer, parsed, read, read_bytes, reply
from gateway.problems import Problem
from gateway.services import in_thread, services, transact
from infra import db, deliveries
from infra.annotations import Author
from infra.deliveries import Made, Offer
from infra.storage import Storage
from schemas.deliveries import (
    DeliveredPage,
    DeliveredView,
    DeliveryAddresses,
    DeliveryOffer,
    DeliveryRequest,
    FileAddress,
    Outcome,
)
from schemas.registry import Consumer

LINK_SECONDS = 3600


async def create(request: Request) -> Response:
    """Say that content is there, under a prefix or with a list of its files: 202, a job checks it."""
    raw = await read_bytes(request, services(request).settings.batch_limit)
    asked = parsed(raw, DeliveryRequest)
    services(request).pressure.check(Consumer.KEEPER)
    delivery, made = await transact(request, deliveries.accept, asked, _author(request))
    return await _started(request, delivery, made)


async def offer(request: Request) -> Response:
    """Addresses to upload the content of a task to, one for each file of its manifest."""
    asked = await read(request, DeliveryOffer)
    who = request.state.identity.name
    made: Offer = await transact(request, deliveries.offer, asked.host, asked.external_id, asked.seconds, who)
    files = await in_thread(_addresses, services(request).storage, made, asked.seconds)
    here = f"/v1/deliveries/{made.id}"
    view = DeliveryAddresses(id=made.id, files=files, expires_at=made.expires_at, complete=f"{here}/complete")
    return reply(view, 201, {"Location": here})


async def complete(request: Request) -> Response:
    """All files of an upload are there: 202, a job checks them. Again, it does so unless they have matched."""
    delivery = _id(request)
    services(request).pressure.check(Consumer.KEEPER)
    made = await transact(request, deliveries.complete, delivery, _author(request))
    if made is None:
        raise _unknown()
    return await _started(request, delivery, made)


async def get(request: Request) -> Response:
    """One delivery, and what its check has found."""
    return reply(await _view(request, _id(request)))


async def file(request: Request) -> Response:
    """A delivered file that lies in the object store: a redirect to an address there, good for an hour."""
    row = await transact(request, deliveries.get, _id(request))
    if row is None:
        raise _unknown()
    path, storage = request.path_params["path"], services(request).storage
    try:
        key = await in_thread(deliveries.object_of, storage, row, path)
    except ValueError as error:
        raise Problem(400, "invalid_parameter", f"Not valid: path. It says: {error}.", field="path") from None
    if key is None:
        raise Problem(404, "unknown_file", "The delivery has no such file in the object store.")
    name = names.file_name(path)
    to = await in_thread(storage.address, key, LINK_SECONDS, names.disposition(name), names.content_type(None, name))
    return RedirectResponse(to, 307)


async def page(request: Request) -> Response:
    """Deliveries, newest first, all or those of an `outcome`."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    outcome = request.query_params.get("outcome")
    if outcome is not None and outcome not in set(Outcome):
        raise Problem(400, "invalid_parameter", f"outcome is one of {', '.join(Outcome)}.", field="outcome")
    found = await transact(request, deliveries.page, outcome, _after(request), limit + 1)
    rows = found[:limit]
    rest = queries.cursor(rows[-1]["created_at"], str(rows[-1]["id"])) if len(found) > limit else None
    return reply(DeliveredPage(deliveries=[_view_of(row) for row in rows], next=rest))


async def _started(request: Request, delivery: UUID, made: list[Made]) -> Response:
    services(request).outbox.publish(made)
    headers = {"Location": f"/v1/deliveries/{delivery}", "Retry-After": "1"}
    return reply(await _view(request, delivery), 202, headers)


async def _view(request: Request, delivery: UUID) -> DeliveredView:
    row = await transact(request, deliveries.view, delivery)
    if row is None:
        raise _unknown()
    return _view_of(row)


def _view_of(row: db.Row) -> DeliveredView:
    error: dict[str, Any] | None = None
    if row["state"] == "failed":
        error = {
            "code": row["error_code"] or "cancelled",
            "message": row["error_message"] or "The check was cancelled.",
        }
    return DeliveredView.model_validate(dict(row) | {"error": error})


def _addresses(storage: Storage, made: Offer, seconds: int) -> list[FileAddress]:
    return [
        FileAddress(path=file.path, size=file.size, url=storage.entrance(key, seconds))
        for file, key in zip(made.files, made.keys, strict=True)
    ]


def _after(request: Request) -> tuple[Any, str] | None:
    found = queries.after(request)
    if found is None:
        return None
    try:
        return found[0], str(UUID(found[1]))
    except ValueError:
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor") from None


def _author(request: Request) -> Author:
    return Author(request.state.identity.name, request.state.traceparent)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["delivery"])
    except ValueError:
        raise _unknown() from None


def _unknown() -> Problem:
    return Problem(404, "unknown_delivery", "There is no such delivery.")
