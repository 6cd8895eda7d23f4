"""The old file store: `/file`, where a `file_id` is a SHA-1 or a prefix of it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway import files, uploads
from gateway.bodies import LARGEST_PAGE
from gateway.legacy.paging import document, listing

content = files.content
delete = files.delete


async def upload(request: Request) -> Response:
    """Upload the part `file` of a form; the reply has its `file_id`, the same for the same content."""
    row, _ = await uploads.store(request)
    return document(_view(row), headers={"Location": f"/file/{row['sha1']}"})


async def page(request: Request) -> Response:
    """Uploaded files, newest first."""
    rows, cursor = await files.listed(request, LARGEST_PAGE)
    return listing(request, [_view(row) for row in rows], cursor)


def _view(row: Any) -> dict[str, Any]:
    return {
        "file_id": row["sha1"],
        "sha256": row["sha256"],
        "filename": row["name"],
        "content_type": row["content_type"],
        "size": row["size"],
        "created": row["created_at"],
    }
