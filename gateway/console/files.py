"""Files: drop them in, find them again, see them, and what was made of them."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway import files as api
from gateway import uploads
from gateway.console import page, rendering
from gateway.console.job import preview
from gateway.services import transact
from infra import browsing
from infra import files as store
from schemas.registry import KINDS

SHOWN = 50
JOBS = 20
#: What people do with a film, a picture, or anything else; every other kind is offered below.
FITS: dict[str | None, frozenset[str]] = {
    "video": frozenset(
        ("split.video", "analyze.video", "analyze.label", "analyze.triangulate", "analyze.label_3d"),
    ),
    "image": frozenset(("analyze.image", "analyze.label_image", "split.images")),
    None: frozenset(("items.import", "items.set_state", "annotate.import", "split.images")),
}


async def listing(request: Request) -> Response:
    """The newest files, and where to drop others."""
    rows, rest = await api.listed(request, SHOWN)
    name = request.query_params.get("name")
    older = "/console/files?" + urlencode({"cursor": rest} | ({"name": name} if name else {})) if rest else None
    return rendering.page(request, "files/listing.html", rows=rows, older=older, name=name, preview=preview)


async def upload(request: Request) -> Response:
    """A form with one file, for browsers without scripts."""
    row, _ = await uploads.store(request)
    return page.back(f"/console/files/{row['sha256']}", "uploaded")


async def show(request: Request) -> Response:
    """One file: what it is, who reads it, what can be done with it."""
    row: dict[str, Any] = await api.described(request)
    sha256, shown = row["sha256"], preview(row["content_type"])
    able, fit = [kind for kind in KINDS.values() if kind.inputs], FITS[shown]
    return rendering.page(
        request,
        "files/file.html",
        file=row,
        readers=await transact(request, browsing.of_file, sha256, JOBS),
        makers=await transact(request, browsing.makers_of_file, sha256, JOBS),
        preview=shown,
        able=[kind for kind in able if kind.name in fit],
        others=[kind for kind in able if kind.name not in fit],
        uploaded=bool(row["names"]),
    )


async def delete(request: Request) -> Response:
    """Forget an upload. A problem while live jobs read it."""
    if not await transact(request, store.delete, request.path_params["file_id"], request.state.traceparent):
        raise api.unknown()
    return page.back("/console/files", "deleted")
