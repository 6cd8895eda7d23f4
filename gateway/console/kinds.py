"""Kinds and queues: what can be asked for, what waits, and the operator's switches."""

from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.console import page, rendering
from gateway.problems import Problem, invalid
from gateway.services import transact
from infra import controls, overview
from schemas.kinds import KindLimits
from schemas.registry import KINDS, Lane


async def listing(request: Request) -> Response:
    """Every queue with what waits in it, every kind with its limits."""
    return rendering.page(request, "kinds/listing.html", **await transact(request, _look))


async def pause(request: Request) -> Response:
    """Start no job of the kind."""
    await transact(request, controls.pause, _kind(request), request.state.identity.name)
    return page.back("/console/kinds", "paused")


async def resume(request: Request) -> Response:
    """Start jobs of the kind again."""
    await transact(request, controls.resume, _kind(request), request.state.identity.name)
    return page.back("/console/kinds", "resumed")


async def limit(request: Request) -> Response:
    """Change the limits; an empty field gives one back to the registry."""
    kind = _kind(request)
    if KINDS[kind].lane is Lane.FAST:
        raise Problem(409, "fast_lane", "Jobs of the fast lane can be paused, but not limited.")
    fields = await page.form(request)
    try:
        wanted = KindLimits.model_validate({name: page.text(fields, name) for name in controls.LIMITS})
    except ValidationError as error:
        raise invalid(error) from None
    await transact(request, controls.limit, kind, wanted.model_dump(), request.state.identity.name)
    return page.back("/console/kinds", "limited")


def _look(connection: Connection) -> dict[str, Any]:
    queues, said = overview.queues(connection), controls.by_kind(connection)
    return {"queues": queues, "kinds": KINDS.values(), "said": said, "fast": Lane.FAST}


def _kind(request: Request) -> str:
    name = str(request.path_params["kind"])
    if name not in KINDS:
        raise Problem(404, "unknown_kind", "There is no such kind.")
    return name
