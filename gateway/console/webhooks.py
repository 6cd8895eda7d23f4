"""Webhooks: who is told what, and what became of each delivery."""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway import webhooks as api
from gateway.console import page, rendering
from gateway.problems import Problem, invalid
from gateway.services import transact
from infra import webhooks
from schemas.webhooks import WebhookRequest

DELIVERIES = 50


async def listing(request: Request) -> Response:
    """All webhooks."""
    return rendering.page(request, "webhooks/listing.html", rows=await transact(request, webhooks.listing), wrong=None)


async def create(request: Request) -> Response:
    """Make one. Its secret is shown here, for the only time."""
    fields = await page.form(request)
    try:
        types = (page.text(fields, "types") or "#").split()
        wanted = WebhookRequest.model_validate({"url": page.text(fields, "url"), "types": types})
    except ValidationError as error:
        return await _again(request, invalid(error))
    try:
        await api.require_reachable(request, wanted.url)
    except Problem as problem:
        return await _again(request, problem)
    made = await transact(request, webhooks.add, wanted.url, wanted.types, request.state.identity.name)
    if made is None:
        raise Problem(409, "too_many_webhooks", "There are as many webhooks as may be.")
    return await _shown(request, str(made[0]), made[1])


async def show(request: Request) -> Response:
    """One webhook with its deliveries."""
    return await _shown(request, request.path_params["webhook_id"])


async def test(request: Request) -> Response:
    """Have a test delivered."""
    await api.test(request)
    return page.back(f"/console/webhooks/{request.path_params['webhook_id']}", "tested")


async def enable(request: Request) -> Response:
    """Have a disabled one go on."""
    await api.enable(request)
    return page.back(f"/console/webhooks/{request.path_params['webhook_id']}", "enabled")


async def delete(request: Request) -> Response:
    """Forget it."""
    await api.delete(request)
    return page.back("/console/webhooks", "deleted")


async def _again(request: Request, problem: Problem) -> Response:
    rows = await transact(request, webhooks.listing)
    return rendering.page(request, "webhooks/listing.html", problem.status, rows=rows, wrong=problem.detail)


async def _shown(request: Request, webhook_id: str, secret: str | None = None) -> Response:
    wanted = api.id_of(webhook_id)
    row = await api.found(request, wanted)
    deliveries = await transact(request, webhooks.deliveries, wanted, None, DELIVERIES)
    return rendering.page(request, "webhooks/webhook.html", hook=row, deliveries=deliveries, secret=secret)
