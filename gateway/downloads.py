"""Content on its way out: streamed, ranged, revalidated by its hash, and never a page on our origin.

A whole download is hashed as it passes; when the bytes are not what their id says, the connection breaks before the
last of them, so that no client takes the reply for a good one.
"""

import hashlib
from collections.abc import AsyncIterator

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway import names, ranges
from gateway.problems import Problem
from gateway.services import in_thread, services
from infra import db, metrics
from infra.storage import Corrupt, NotThere, Reading, Unavailable

log = structlog.get_logger()

#: How long a redirect to the store is good for.
ADDRESS_SECONDS = 900.0
#: A full SHA-256 names the same bytes for ever; a prefix may become ambiguous, and a file may be deleted.
FOREVER = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"


class Content(StreamingResponse):
    """A stream that closes its source whatever happens, and stays incomplete when the source breaks."""

    def __init__(self, source: Reading, pieces: AsyncIterator[bytes], status: int, headers: dict[str, str]) -> None:
        super().__init__(pieces, status, headers)
        self.source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. After a failure there is no last piece: the server then breaks the connection."""
        try:
            await super().__call__(scope, receive, send)
        except (Corrupt, NotThere, Unavailable) as error:
            log.warning("download broken off", action="download.broken", reason=type(error).__name__)
        finally:
            self.source.close()


async def redirect(request: Request, row: db.Row) -> Response:
    """To the bytes at the store itself, by an address that anybody may use for a while. Nobody hashes them then."""
    saved_as, media = names.disposition(row["name"]), names.served_type(row["content_type"])
    address = services(request).storage.address
    return RedirectResponse(await in_thread(address, row["object_key"], ADDRESS_SECONDS, saved_as, media), 307)


async def reply(request: Request, row: db.Row) -> Response:
    """The content of a row of `references.resolve`: 200, 206, 304, or a 416 problem; only headers for HEAD."""
    size, etag = row["size"], f'"{row["sha256"]}"'
    headers = _headers(request, row, etag)
    if has_etag(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers={n: headers[n] for n in ("ETag", "Cache-Control")})
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(size)})
    span = _span(request, size, etag)
    if span is not None:
        headers |= {"Content-Range": span.content_range(size)}
    return await _stream(request, row, span, headers)


async def _stream(request: Request, row: db.Row, span: ranges.Span | None, headers: dict[str, str]) -> Response:
    part = span or ranges.Span(0, row["size"])
    source = await in_thread(services(request).storage.open, row["object_key"], part.start, part.length)
    pieces = _pieces(source, row["sha256"], part.length, whole=span is None)
    try:
        # The first piece comes before the reply starts: what is missing or small and damaged is still a clean error.
        first = await anext(pieces, b"")
    except BaseException:
        source.close()
        raise
    headers |= {"Content-Length": str(part.length)}
    return Content(source, _joined(first, pieces), 200 if span is None else 206, headers)


async def _pieces(source: Reading, sha256: str, length: int, whole: bool) -> AsyncIterator[bytes]:
    """`length` bytes; of the whole content, the last piece only when all of them hash to `sha256`."""
    digest, stored = hashlib.sha256(), iter(source)
    while length > 0:
        piece = (await in_thread(next, stored, b""))[:length]
        length -= len(piece)
        digest.update(piece)
        if not piece or (whole and length == 0 and digest.hexdigest() != sha256):
            metrics.objects_corrupt_total.inc()
            log.error("object corrupt", action="download.corrupt", sha256=sha256)
            raise Corrupt("the stored bytes are not those of the id")
        yield piece


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _headers(request: Request, row: db.Row, etag: str) -> dict[str, str]:
    whole_id = request.path_params.get("file_id", "").lower() == row["sha256"]
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": FOREVER if whole_id else REVALIDATE,
        "Content-Type": names.served_type(row["content_type"]),
        "Content-Disposition": names.disposition(names.file_name(row["name"])),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }


def _span(request: Request, size: int, etag: str) -> ranges.Span | None:
    """The range asked for, when what the client has a part of is still this content."""
    if request.headers.get("if-range", etag) != etag:
        return None
    try:
        return ranges.parse(request.headers.get("range"), size)
    except ranges.Unsatisfiable:
        headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
        raise Problem(416, "range_not_satisfiable", f"The content has {size} bytes.", headers, size=size) from None


def has_etag(header: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names this ETag; the comparison is weak, as the standard says."""
    given = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in given or given == ["*"]
