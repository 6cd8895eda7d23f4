"""Models: what analyses work with, each version, what it knows, and registering another one."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import models as api
from gateway.bodies import parsed
from gateway.console import page, rendering
from gateway.problems import Problem
from gateway.services import transact
from infra.models import rows
from schemas.models import FITTING, ModelRequest

SHOWN = 200
EXAMPLE = """{
  "name": "dots", "kind": "tracker",
  "tracker": {"points": [{"name": "nose", "colour": [235, 40, 40]}]}
}"""


async def listing(request: Request) -> Response:
    """All models by name, and a form for another."""
    return await _listing(request, EXAMPLE)


async def register(request: Request) -> Response:
    """Register what the form says, as JSON; what is wrong with it is said above the form."""
    text = page.text(await page.form(request), "model") or ""
    try:
        model, _ = await api.registered(request, parsed(text.encode(), ModelRequest, "The model"))
    except Problem as problem:
        return await _listing(request, text, problem)
    return page.back(f"/console/models/{model.reference}", "created")


async def show(request: Request) -> Response:
    """One version of a model, and the others."""
    model = await api.found(request)
    return rendering.page(
        request,
        "models/model.html",
        model=model,
        points=rows.points_of(model),
        able=sorted(kind for kind, fitting in FITTING.items() if model.kind in fitting),
        versions=await transact(request, rows.versions, model.name),
        built_in=model.name == rows.BUILT_IN,
    )


async def delete(request: Request) -> Response:
    """Delete a version. A problem while something needs it."""
    await api.delete(request)
    return page.back("/console/models", "deleted")


async def _listing(request: Request, text: str, wrong: Problem | None = None) -> Response:
    found = await transact(request, rows.page, request.query_params.get("after", ""), SHOWN)
    status = wrong.status if wrong is not None else 200
    told = {"points_of": rows.points_of, "text": text, "wrong": wrong, "models": found}
    return rendering.page(request, "models/listing.html", status, **told)
