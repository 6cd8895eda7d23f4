"""A file on its way in: from the socket to the object store in pieces, hashed as it passes. No file is ever whole here.

Storing blocks, so it runs in a thread; the thread pulls the body from the event loop as fast as the store takes it, and
the client is held back meanwhile. Nothing counts before the row is committed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
from anyio import from_thread, to_thread
from sqlalchemy import Connection
from starlette.requests import Request

from gateway import multipart, names, problems
from gateway.multipart import FilePart
from gateway.problems import Problem
from gateway.services import services, transact
from infra import allowance, blobs, db, files
from infra.allowance import OverQuotaError
from infra.steps import StoredObject
from infra.storage import upload_key
from infra.tokens import Identity

#: Bytes that cross from the event loop to the thread at a time.
PIECE = 1024 * 1024
#: A client that brings less than this in so long has gone without a word, or only wants to hold a place.
STALL_SECONDS = 60.0
STALL_BYTES = 64 * 1024
#: Each upload has a thread and some parts in memory; the next one waits, and its client with it, but not for ever.
AT_ONCE = 16
PLACES = anyio.Semaphore(AT_ONCE)
THREADS = anyio.CapacityLimiter(AT_ONCE)
PLACE_SECONDS = 30.0


class Label(Protocol):
    """What the client calls the file."""

    name: str | None
    content_type: str | None


class Raw:
    """The label of a body that is the file itself: `?name=` and `Content-Type`."""

    def __init__(self, request: Request) -> None:
        self.name = request.query_params.get("name")
        self.content_type = request.headers.get("content-type")


class Body:
    """The file's bytes for a reader in a thread. What goes wrong on the way is raised there: the storing ends."""

    def __init__(self, pieces: AsyncIterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self._taken = 0
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        """The next piece, at most `size` bytes; empty at the end. Raises whatever ended the body early."""
        if not self._held:
            from_thread.run(self.pull)
        piece = bytes(memoryview(self._held)[:size])
        del self._held[:size]
        return piece

    async def pull(self) -> bool:
        """Take one piece from the request. False when there is nothing more."""
        while len(self._held) < PIECE:
            chunk = await anext(self._pieces, None)
            if chunk is None:
                break
            self._held += chunk
            self._taken += len(chunk)
            if self._taken > self._limit:
                raise too_large(self._limit)
        return bool(self._held)


async def store(request: Request) -> tuple[db.Row, bool]:
    """Take the file in a request. Returns its row, and whether its content is new.

    Raises a problem: 400 without a file, 408 when the client stalls, 413 over the limit (unread if the length says so)
    or over the caller's quota.
    """
    limit = services(request).settings.upload_limit
    media = request.headers.get("content-type", "")
    in_form = names.media_type(media) == multipart.MEDIA_TYPE
    beside = multipart.OVERHEAD if in_form else 0
    _refuse_by_length(request, limit, beside)
    chunks = arriving(request, limit + beside)
    form = FilePart(media) if in_form else None
    body = Body(_of_form(form, chunks) if form is not None else chunks, limit)
    # The first piece comes before the store hears of it: a form without a file touches nothing.
    if not await body.pull():
        raise multipart.missing()
    stored = await _put(request, body, form or Raw(request))
    return await keep(request, stored)


async def keep(request: Request, stored: StoredObject) -> tuple[db.Row, bool]:
    """Make an object the caller's file. Returns its row, and whether its content is new.

    Raises a problem, and drops the object, when it is more than the caller may keep.
    """
    try:
        return await transact(request, _register, stored, request.state.identity, request.state.traceparent)
    except OverQuotaError as error:
        await transact(request, blobs.discard, [stored.object_key])
        raise over_quota(error) from None


def too_large(limit: int) -> Problem:
    """The file has more bytes than are taken."""
    return Problem(413, "too_large", f"A file is limited to {limit} bytes.", limit=limit)


def over_quota(error: OverQuotaError) -> Problem:
    """The caller may not keep so much."""
    detail = f"You may keep {error.limit} bytes of uploads; this would be more. Delete what you no longer need."
    return Problem(413, "storage_quota_exceeded", detail, limit=error.limit)


async def _put(request: Request, body: Body, label: Label) -> StoredObject:
    name = names.file_name(label.name)
    content_type = names.content_type(label.content_type, name)
    put = services(request).storage.put_stream
    async with place():
        stored = await to_thread.run_sync(put, upload_key(), body, content_type, limiter=THREADS)
    return StoredObject(name, stored.sha256, stored.sha1, stored.size, content_type, stored.object_key)


@asynccontextmanager
async def place() -> AsyncIterator[None]:
    """One of the places for uploads. Raises a 503 problem when none is free for a while."""
    try:
        with anyio.fail_after(PLACE_SECONDS):
            await PLACES.acquire()
    except TimeoutError:
        raise problems.unavailable("too_many_uploads", "Too many uploads are under way; try again shortly.") from None
    try:
        yield
    finally:
        PLACES.release()


def _register(connection: Connection, stored: StoredObject, who: Identity, traceparent: str) -> tuple[db.Row, bool]:
    created = files.add(connection, stored, who.name, traceparent)
    if created:
        allowance.check(connection, who)
    row = files.get(connection, stored.sha256)
    assert row is not None  # this transaction holds it
    return row, created


def _refuse_by_length(request: Request, limit: int, beside: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit + beside:
        raise too_large(limit)


async def arriving(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as the network brings it. Raises ClientDisconnect, a 408 problem for a stall, a 413 over `limit`."""
    stream = request.stream()
    came, deadline = 0, anyio.current_time() + STALL_SECONDS
    while True:
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise Problem(408, "upload_stalled", f"Next to nothing came for {STALL_SECONDS:.0f} seconds.") from None
        if chunk is None:
            return
        came += len(chunk)
        if came >= STALL_BYTES:
            came, deadline = 0, anyio.current_time() + STALL_SECONDS
        limit -= len(chunk)
        if limit < 0:
            raise too_large(services(request).settings.upload_limit)
        yield chunk


async def _of_form(form: FilePart, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield form.feed(chunk)
    form.finish()
