"""`/v1/manifests` and `/v1/locations`: what a content at a host is made of, and where content lies that has matched."""

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import LARGEST_PAGE, integer, parsed, read_bytes, reply
from gateway.problems import Problem, invalid
from gateway.services import services, transact
from infra import db, manifests
from schemas.deliveries import LocationList, LocationView
from schemas.fetching import ExternalId
from schemas.hosts import Host, normalise
from schemas.manifests import ManifestPage, ManifestRequest, ManifestSummary, ManifestView

BETWEEN = "\n"


class Thing(BaseModel):
    """A thing at a host, as an address names it."""

    host: Host
    external_id: ExternalId


async def put(request: Request) -> Response:
    """Keep a manifest: 201 for the first one of this host and id, 200 for one in its place."""
    thing = named(request)
    raw = await read_bytes(request, services(request).settings.batch_limit)
    asked = parsed(raw, ManifestRequest)
    who = request.state.identity.name
    values = (thing.host, thing.external_id, asked.folder, asked.listing, who)
    created = await transact(request, manifests.put, *values)
    return reply(await _view(request, thing), 201 if created else 200)


async def get(request: Request) -> Response:
    """One manifest with its files."""
    return reply(await _view(request, named(request)))


async def page(request: Request) -> Response:
    """Manifests by host and id, all or those of a `directory` or a `host`."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    host = request.query_params.get("host")
    wanted = (request.query_params.get("directory"), _host(host) if host is not None else None)
    found = await transact(request, manifests.page, *wanted, _after(request), limit + 1)
    rows = found[:limit]
    rest = f"{rows[-1]['host']}{BETWEEN}{rows[-1]['external_id']}" if len(found) > limit else None
    return reply(ManifestPage(manifests=[ManifestSummary.model_validate(dict(row)) for row in rows], next=rest))


async def locations(request: Request) -> Response:
    """Where a thing lies (`host` and `external_id`), or what lies at a `path` or in a folder that holds it."""
    query = request.query_params
    if "path" in query and not {"host", "external_id"} & set(query):
        found = await transact(request, manifests.at, query["path"])
    elif {"host", "external_id"} <= set(query) and "path" not in query:
        thing = _thing(query["host"], query["external_id"])
        found = await transact(request, manifests.location, thing.host, thing.external_id)
        if not found:
            raise Problem(404, "unknown_location", "Nobody has delivered that.")
    else:
        raise Problem(400, "invalid_parameter", "Give host and external_id, or a path.", field="path")
    return reply(LocationList(locations=[LocationView.model_validate(dict(row)) for row in found]))


def named(request: Request) -> Thing:
    """The thing that the path names. Raises a 400 problem."""
    return _thing(request.path_params["host"], request.path_params["external_id"])


def _thing(host: str, external_id: str) -> Thing:
    try:
        return Thing(host=host, external_id=external_id)
    except ValidationError as error:
        raise invalid(error) from None


def _host(text: str) -> str:
    try:
        return normalise(text)
    except ValueError as error:
        raise Problem(400, "invalid_parameter", f"host is {error}.", field="host") from None


async def _view(request: Request, thing: Thing) -> ManifestView:
    row = await transact(request, manifests.get, thing.host, thing.external_id)
    if row is None:
        raise Problem(404, "unknown_manifest", "There is no manifest of that.")
    return view_of(row)


def view_of(row: db.Row) -> ManifestView:
    """A manifest as callers see it."""
    files = [dict(zip(("path", "size", "sha256"), file, strict=True)) for file in row["files"]]
    return ManifestView.model_validate(dict(row) | {"files": files})


def _after(request: Request) -> tuple[str, str]:
    host, _, external_id = request.query_params.get("cursor", "").partition(BETWEEN)
    return host, external_id
