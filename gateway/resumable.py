"""`/v1/resumable`: files that come in pieces and survive a lost connection, by the tus 1.0 protocol.

Extensions: creation, checksum, expiration, termination. A piece that was answered is safe; of one that broke off, what
had come is kept (unless it had a checksum, which then cannot be checked).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from email.utils import format_datetime
from uuid import UUID

from anyio import to_thread
from sqlalchemy import Connection
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway import names, uploads
from gateway.bodies import media_type, reply
from gateway.pieces import Chain
from gateway.problems import Problem
from gateway.services import in_thread, services, transact
from infra import db
from infra import resumable as store
from infra.allowance import OverQuotaError
from infra.steps import StoredObject
from infra.storage import upload_key
from infra.tokens import Identity, Role
from schemas.resumable import ResumableView, UploadedFile

VERSION = "1.0.0"
OFFSETS = "application/offset+octet-stream"
PIECE_BYTES = 8 * 1024 * 1024
LONGEST_METADATA = 4096
LARGEST = 2**62
TUS = {"Tus-Resumable": VERSION}
ALGORITHMS = ("sha1", "sha256", "md5")


async def options(request: Request) -> Response:
    """What this server can do: the protocol's own way to ask."""
    able = {
        "Tus-Version": VERSION,
        "Tus-Extension": "creation,checksum,expiration,termination",
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Tus-Max-Size": str(services(request).settings.upload_limit),
    }
    return Response(status_code=204, headers=TUS | able)


async def create(request: Request) -> Response:
    """Begin an upload: `Upload-Length`, and `Upload-Metadata` with `filename` and `filetype`. 201 with its address."""
    _require_version(request)
    limit = services(request).settings.upload_limit
    if request.headers.get("upload-defer-length") is not None:
        raise Problem(400, "length_required", "Say how long the whole is: Upload-Length.")
    size = _whole(request, "upload-length")
    if size > limit:
        raise uploads.too_large(limit)
    metadata = _metadata(request.headers.get("upload-metadata", ""))
    name = names.file_name(metadata.get("filename") or metadata.get("name"))
    content_type = names.content_type(metadata.get("filetype") or metadata.get("type"), name)
    if size == 0:
        raise Problem(400, "empty_file", "An empty file has no pieces: send it to /v1/files.")
    try:
        made = await transact(request, store.begin, name, content_type, _identity(request), size)
    except OverQuotaError as error:
        raise uploads.over_quota(error) from None
    row = await _found(request, made)
    return _answer(row, 201, {"Location": f"/v1/resumable/{made}"})


async def head(request: Request) -> Response:
    """How far an upload has come: `Upload-Offset`."""
    _require_version(request)
    row = await _mine(request)
    return _answer(row, 200, {"Upload-Length": str(row["size"])})


async def get(request: Request) -> Response:
    """An upload, and the file that came of it."""
    row = await _mine(request)
    file = UploadedFile(sha256=row["sha256"], href=f"/v1/files/{row['sha256']}") if row["sha256"] else None
    return reply(ResumableView(**{n: row[n] for n in row if n in ResumableView.model_fields}, file=file))


async def patch(request: Request) -> Response:
    """Go on with an upload from `Upload-Offset`. 204 with the new one; 409 when it stands elsewhere."""
    _require_version(request)
    if media_type(request) != OFFSETS:
        raise Problem(415, "unsupported_media_type", f"Send `Content-Type: {OFFSETS}`.")
    row = await _mine(request)
    start = _whole(request, "upload-offset")
    if start != row["received"]:
        raise _elsewhere(row["received"])
    if row["sha256"] is None:
        await _take(request, row)
    after = await _found(request, row["id"])
    location = {"Content-Location": f"/v1/files/{after['sha256']}"} if after["sha256"] else {}
    return _answer(after, 204, location)


async def delete(request: Request) -> Response:
    """Give an upload up, and what was sent of it."""
    _require_version(request)
    row = await _mine(request)
    await transact(request, store.delete, row["id"])
    return Response(status_code=204, headers=TUS)


async def _take(request: Request, row: db.Row) -> None:
    """Store the body in pieces, each committed as it comes; with a checksum, all at once after it was checked."""
    incoming = Incoming(request, row)
    left = row["size"] - row["received"]
    try:
        async with aclosing(_pieces(uploads.arriving(request, left))) as pieces:
            async for piece in pieces:
                await incoming.add(piece)
        incoming.check()
        await incoming.commit()
    finally:
        await incoming.forget()


class Incoming:
    """What one request brings to an upload."""

    def __init__(self, request: Request, row: db.Row) -> None:
        self._request = request
        self._id: UUID = row["id"]
        self._row = row
        self._at: int = row["received"]
        self._expected = _checksum(request)
        self._digest = hashlib.new(self._expected[0]) if self._expected else None
        self._held: list[tuple[str, int]] = []
        self._copied: list[str] = []

    async def add(self, piece: bytes) -> None:
        """Store a piece; what is stored counts at once, unless it has to be checked first."""
        if self._digest is not None:
            self._digest.update(piece)
        key = store.piece_key(self._id)
        put = services(self._request).storage.put_bytes
        self._held.append((key, 0))  # whatever happens now, the object goes if it does not count
        await to_thread.run_sync(put, key, piece, names.BINARY, limiter=uploads.THREADS)
        self._held[-1] = (key, len(piece))
        if self._digest is None:
            await self.commit()

    def check(self) -> None:
        """Raise a 460 problem, the protocol's own number, when the body is not what its checksum says."""
        if self._expected and self._digest and not hmac.compare_digest(self._digest.digest(), self._expected[1]):
            raise Problem(460, "checksum_mismatch", "The piece is not what its checksum says; send it again.")

    async def commit(self) -> None:
        """Let what is stored count. The last piece counts together with the file."""
        coming = sum(size for _, size in self._held)
        if not coming:
            return
        if self._at + coming == self._row["size"]:
            await self._complete()
            self._copied += [key for key, _ in self._held]
        elif not await transact(self._request, _add, self._id, self._at, list(self._held)):
            raise _elsewhere((await _found(self._request, self._id))["received"])
        self._held.clear()
        self._at += coming

    async def forget(self) -> None:
        """Have removed what was stored and does not count, or not any more."""
        keys = [*self._copied, *(key for key, _ in self._held)]
        if keys:
            await transact(self._request, store.erase, keys)

    async def _complete(self) -> None:
        keys = [*await transact(self._request, store.pieces, self._id), *(key for key, _ in self._held)]
        storage = services(self._request).storage
        chain = Chain(storage, keys)
        try:
            put = storage.put_stream
            made = await to_thread.run_sync(
                put, upload_key(), chain, self._row["content_type"], limiter=uploads.THREADS
            )
        finally:
            await in_thread(chain.close)
        stored = StoredObject(
            self._row["name"], made.sha256, made.sha1, made.size, self._row["content_type"], made.object_key
        )
        trace = self._request.state.traceparent
        creator = self._row["created_by"]
        if not await transact(self._request, store.complete, self._id, self._at, stored, creator, trace):
            raise _elsewhere((await _found(self._request, self._id))["received"])


def _add(connection: Connection, upload_id: UUID, start: int, pieces: list[tuple[str, int]]) -> bool:
    """All of them or none."""
    with connection.begin_nested() as savepoint:
        taken = store.add(connection, upload_id, start, pieces)
        if not taken:
            savepoint.rollback()
    return taken


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The body in pieces. When the client goes away, what had come is the last one."""
    held = bytearray()
    try:
        async for chunk in chunks:
            held += chunk
            while len(held) >= PIECE_BYTES:
                yield bytes(held[:PIECE_BYTES])
                del held[:PIECE_BYTES]
    except ClientDisconnect:
        if held:
            yield bytes(held)
        raise
    if held:
        yield bytes(held)


def _identity(request: Request) -> Identity:
    identity: Identity = request.state.identity
    return identity


async def _mine(request: Request) -> db.Row:
    """The upload in the path. Somebody else's is nobody's, except for an admin."""
    try:
        wanted = UUID(request.path_params["upload_id"])
    except ValueError:
        raise _unknown() from None
    row = await _found(request, wanted)
    identity = _identity(request)
    if row["created_by"] != identity.name and Role.ADMIN not in identity.roles:
        raise _unknown()
    return row


async def _found(request: Request, upload_id: UUID) -> db.Row:
    row = await transact(request, store.get, upload_id)
    if row is None:
        raise _unknown()
    return row


def _unknown() -> Problem:
    return Problem(404, "unknown_upload", "There is no such upload, or not any more.", headers=TUS)


def _elsewhere(received: int) -> Problem:
    told = TUS | {"Upload-Offset": str(received)}
    return Problem(409, "offset_mismatch", f"The upload stands at {received}.", headers=told, received=received)


def _answer(row: db.Row, status: int, headers: dict[str, str]) -> Response:
    about = {"Upload-Offset": str(row["received"]), "Upload-Expires": format_datetime(row["expires_at"], usegmt=False)}
    return Response(status_code=status, headers=TUS | about | headers)


def _require_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        told = {"Tus-Version": VERSION}
        raise Problem(412, "tus_version", f"Send `Tus-Resumable: {VERSION}`.", headers=told)


def _whole(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST):
        raise Problem(400, "invalid_parameter", f"{header} is a whole number of bytes.", field=header)
    return int(text)


def _metadata(header: str) -> dict[str, str]:
    """`key base64,key base64`: what is not readable is a 400."""
    if len(header) > LONGEST_METADATA:
        raise Problem(400, "invalid_parameter", "Upload-Metadata is too long.", field="upload-metadata")
    try:
        pairs = [part.strip().partition(" ") for part in header.split(",") if part.strip()]
        return {key: base64.b64decode(value, validate=True).decode() for key, _, value in pairs}
    except (binascii.Error, UnicodeDecodeError):
        detail = "Upload-Metadata is pairs of a name and a value in base64."
        raise Problem(400, "invalid_parameter", detail, field="upload-metadata") from None


def _checksum(request: Request) -> tuple[str, bytes] | None:
    header = request.headers.get("upload-checksum")
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Problem(400, "unknown_algorithm", f"Checksums are of {', '.join(ALGORITHMS)}.", field="upload-checksum")
    try:
        return algorithm, base64.b64decode(value, validate=True)
    except binascii.Error:
        raise Problem(400, "invalid_parameter", "The checksum is not base64.", field="upload-checksum") from None
