"""`/v1/webhooks`: send facts to an address, signed; look at what became of each, try one out, change its secret."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.problems import Problem
from gateway.services import services, transact
from infra import addresses, db, webhooks
from infra.addresses import Unreachable
from infra.tokens import Identity
from schemas.webhooks import DeliveryPage, DeliveryView, WebhookList, WebhookRequest, WebhookSecret, WebhookView

LOOK_UP_SECONDS = 5.0
REFUSALS = {
    "private_address": "The address belongs to a private network; webhooks go to public ones only.",
    "unknown_host": "The host of the address is not known.",
}


async def create(request: Request) -> Response:
    """Make a webhook. The reply shows its secret, for the only time."""
    wanted = await read(request, WebhookRequest)
    await require_reachable(request, wanted.url)
    identity: Identity = request.state.identity
    made = await transact(request, webhooks.add, wanted.url, wanted.types, identity.name)
    if made is None:
        detail = f"There are {webhooks.MOST} webhooks, and no more are taken: bind a queue to the exchange."
        raise Problem(409, "too_many_webhooks", detail)
    webhook_id, secret = made
    return reply(await _with_secret(request, webhook_id, secret), 201, {"Location": f"/v1/webhooks/{webhook_id}"})


async def listing(request: Request) -> Response:
    """All webhooks, without their secrets."""
    rows = await transact(request, webhooks.listing)
    return reply(WebhookList(webhooks=[WebhookView.model_validate(dict(row)) for row in rows]))


async def get(request: Request) -> Response:
    """One webhook, without its secret."""
    return reply(WebhookView.model_validate(await found(request, _id(request))))


async def delete(request: Request) -> Response:
    """Forget a webhook and what was under way to it."""
    if not await transact(request, webhooks.delete, _id(request)):
        raise _unknown()
    return Response(status_code=204)


async def rotate(request: Request) -> Response:
    """Give a webhook a new secret, shown here once. For a day both sign, so that the other side can change over."""
    wanted = _id(request)
    secret = await transact(request, webhooks.rotate, wanted)
    if secret is None:
        raise _unknown()
    return reply(await _with_secret(request, wanted, secret))


async def enable(request: Request) -> Response:
    """Have a disabled webhook go on where it stopped. 409 when it is not disabled."""
    wanted = _id(request)
    await found(request, wanted)
    if not await transact(request, webhooks.enable, wanted):
        raise Problem(409, "not_disabled", "The webhook is not disabled.")
    return reply(WebhookView.model_validate(await found(request, wanted)))


async def test(request: Request) -> Response:
    """Have a `webhook.test` delivered, by the way of all the others; its delivery tells what came of it."""
    wanted = _id(request)
    if (await found(request, wanted))["disabled_at"] is not None:
        raise Problem(409, "disabled", "The webhook is disabled; nothing is sent to it.")
    await transact(request, webhooks.try_out, wanted, request.state.traceparent)
    here = f"/v1/webhooks/{wanted}"
    return reply(WebhookView.model_validate(await found(request, wanted)), 202, {"Location": f"{here}/deliveries"})


async def deliveries(request: Request) -> Response:
    """What became of each fact on its way to a webhook, newest first."""
    wanted = _id(request)
    await found(request, wanted)
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    rows = await transact(request, webhooks.deliveries, wanted, _cursor(request), limit + 1)
    views = [DeliveryView.model_validate(dict(row)) for row in rows[:limit]]
    return reply(DeliveryPage(deliveries=views, next=str(views[-1].seq) if len(rows) > limit else None))


async def require_reachable(request: Request, address: str) -> None:
    """Raise a 400 problem for an address that webhooks do not go to."""
    try:
        url = httpx.URL(address)
        async with asyncio.timeout(LOOK_UP_SECONDS):
            await addresses.resolve(url.host, url.port or 443, services(request).settings.webhook_private)
    except Unreachable as error:
        raise Problem(400, error.code, REFUSALS[error.code], field="url") from None
    except TimeoutError:
        raise Problem(400, "unknown_host", REFUSALS["unknown_host"], field="url") from None
    except httpx.InvalidURL:
        raise Problem(400, "invalid_parameter", "Not valid: url.", field="url") from None


async def _with_secret(request: Request, webhook_id: UUID, secret: str) -> WebhookSecret:
    return WebhookSecret.model_validate({**await found(request, webhook_id), "secret": secret})


async def found(request: Request, webhook_id: UUID) -> dict[str, Any]:
    """One webhook without its secret. Raises a 404 problem."""
    row: db.Row | None = await transact(request, webhooks.get, webhook_id)
    if row is None:
        raise _unknown()
    return dict(row)


def _id(request: Request) -> UUID:
    return id_of(request.path_params["webhook_id"])


def id_of(text: str) -> UUID:
    """An id as somebody wrote it. Raises a 404 problem for one that names nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise _unknown() from None


def _cursor(request: Request) -> int | None:
    given = request.query_params.get("cursor")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor")
    return int(given)


def _unknown() -> Problem:
    return Problem(404, "unknown_webhook", "There is no such webhook.")
