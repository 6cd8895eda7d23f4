"""Templates to HTML. Everything is escaped; nothing inline that the content policy would refuse."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gateway.console import words
from gateway.console.assets import vendored
from gateway.console.navigation import NAVIGATION, here
from infra.tokens import Identity, Role
from schemas.items import legible

ENVIRONMENT = Environment(
    loader=PackageLoader("gateway.console"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
for _filter in ("size", "span", "ago", "exact", "clock", "number", "json", "short", "capped", "plural", "prose"):
    ENVIRONMENT.filters[_filter] = getattr(words, _filter)
ENVIRONMENT.filters["legible"] = legible
ENVIRONMENT.globals |= {"between": words.between, "navigation": NAVIGATION, "Role": Role}

#: What a page may say after an action. Only these words can be put into an address.
NOTICES = {
    "cancelled": "Cancelled. A job that runs ends within seconds.",
    "retried": "Queued again, with fresh attempts.",
    "paused": "Paused. Jobs that run go on; no other starts.",
    "resumed": "Resumed.",
    "limited": "The limits are changed.",
    "deleted": "Deleted.",
    "created": "Created.",
    "replayed": "Sent again.",
    "discarded": "Discarded. The record keeps them.",
    "tested": "A test is under way; its delivery shows below.",
    "enabled": "Enabled. It goes on where it stopped.",
    "uploaded": "Uploaded.",
    "released": "Released. What the old leases held is offered again.",
    "requested": "Asked for. It shows below, and here is where it can be fetched.",
    "changed": "Changed.",
    "started": "Started.",
}


def page(request: Request, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A whole page for whoever is signed in."""
    identity: Identity | None = getattr(request.state, "identity", None)
    known = {
        "identity": identity,
        "may": identity.may if identity is not None else lambda _: False,
        "here": here(request.url.path),
        "notice": NOTICES.get(request.query_params.get("said", "")),
        "address": address(request),
        "vendored": vendored,
    }
    return HTMLResponse(ENVIRONMENT.get_template(template).render(known | values), status)


def address(request: Request) -> str:
    """This page's own address within the site, without what was said to it."""
    url: URL = request.url.remove_query_params("said")
    return f"{url.path}?{url.query}" if url.query else url.path


def folder() -> Path:
    """Where the console's files are."""
    return Path(__file__).parent
