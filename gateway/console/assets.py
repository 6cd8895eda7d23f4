"""`/console/assets/…`: styles and scripts, ours and those that the build brings. Only names that are there count."""

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from gateway.problems import Problem

HERE = Path(__file__).parent
FOLDERS = (HERE / "static", HERE / "vendor")
KINDS = {".woff2": "font/woff2", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


async def serve(request: Request) -> Response:
    """A file of the console. Revalidated by its hash, so that a new release is seen at once."""
    found = _files().get(request.path_params["name"])
    if found is None:
        raise Problem(404, "unknown_asset", "There is no such file.")
    content, etag, media = found
    headers = {"ETag": etag, "Cache-Control": "public, no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media)


def vendored(name: str) -> bool:
    """Whether the build has brought a file: without npm, pages do without it."""
    return name in _files()


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    return {path.name: _read(path) for folder in FOLDERS if folder.is_dir() for path in folder.iterdir()}


def _read(path: Path) -> tuple[bytes, str, str]:
    content = path.read_bytes()
    media = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', media
