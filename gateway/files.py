"""`/v1/files`: put a file in, find it, read it, delete it. What jobs made is read here too, but never deleted here."""

from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from gateway import downloads, queries, uploads
from gateway.bodies import LARGEST_PAGE, integer, reply
from gateway.problems import Problem
from gateway.references import resolve
from gateway.services import tenant_of, transact, transact_unscoped
from infra import db
from infra import files as store
from infra.files import Filter
from infra.storage import NotThere
from schemas.files import FilePage, FileSummary, FileView

log = structlog.get_logger()


async def upload(request: Request) -> Response:
    """Upload a file: the body itself with `?name=`, or the part `file` of a form. 201, or 200 for known content."""
    row, created = await uploads.store(request)
    return reply(view(row), 201 if created else 200, {"Location": f"/v1/files/{row['sha256']}"})


async def page(request: Request) -> Response:
    """Uploaded files, newest first, by name, content type and time."""
    rows, rest = await listed(request)
    return reply(FilePage(files=[FileSummary.model_validate(_named(row)) for row in rows], next=rest))


async def get(request: Request) -> Response:
    """What is known about a file."""
    return reply(view(await described(request)))


async def content(request: Request) -> Response:
    """The bytes of a file or of a job's output: ranges, ETag, always as a download.

    With `?redirect=1` a 307 to an address at the store, which needs no token for a quarter of an hour.
    """
    row = await _resolved(request)
    if request.query_params.get("redirect", "0") not in {"", "0", "false"}:
        return await downloads.redirect(request, row)
    try:
        return await downloads.reply(request, row)
    except NotThere:
        # Deleted, or stored anew under another key, since we looked? If neither, it should be there.
        again = await _resolved(request)
        if again["object_key"] == row["object_key"]:
            log.error("object missing", action="download.missing", sha256=row["sha256"])
            raise
        return await downloads.reply(request, again)


async def delete(request: Request) -> Response:
    """Delete an uploaded file. 409 while live jobs read it; `?force=1` cancels them: those that run end first."""
    row = await _resolved(request)
    if not row["uploaded"]:
        raise Problem(409, "is_output", "A job made this; it goes with its job.")
    if request.query_params.get("force", "0") not in {"", "0", "false"}:
        await transact_unscoped(request, store.cancel_users, row["sha256"], tenant_of(request))
    if not await transact_unscoped(request, store.delete, row["sha256"], request.state.traceparent, tenant_of(request)):
        raise unknown()
    return Response(status_code=204)


async def listed(request: Request, default: int = 100) -> tuple[list[db.Row], str | None]:
    """A page of files as the query asks for it (`default` when it has no limit), and the cursor of the next."""
    wanted = Filter(
        name=request.query_params.get("name"),
        content_type=request.query_params.get("content_type"),
        created_after=queries.moment(request, "created_after"),
        created_before=queries.moment(request, "created_before"),
    )
    limit = integer(request, "limit", default, LARGEST_PAGE)
    found = await transact(request, store.page, wanted, queries.after(request), limit + 1)
    rows = list(found[:limit])
    rest = queries.cursor(rows[-1]["created_at"], rows[-1]["sha256"]) if len(found) > limit else None
    return rows, rest


async def described(request: Request) -> dict[str, Any]:
    """The row of an uploaded file with all its names, or of a job's output."""
    row = await _resolved(request)
    uploaded = await transact(request, store.get, row["sha256"]) if row["uploaded"] else None
    return dict(uploaded or dict(row) | {"names": [], "created_by": None})


def unknown() -> Problem:
    """The file went while we looked."""
    return Problem(404, "unknown_file", "There is no such file.")


async def _resolved(request: Request) -> db.Row:
    return await resolve(request, request.path_params["file_id"])


def view(row: Any) -> FileView:
    """A file as callers see it."""
    here = f"/v1/files/{row['sha256']}"
    return FileView.model_validate(_named(row) | {"links": {"self": here, "content": f"{here}/content"}})


def _named(row: Any) -> dict[str, Any]:
    return dict(row) | {"file_id": row["sha1"]}
