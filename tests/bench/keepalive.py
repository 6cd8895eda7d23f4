"""A lean HTTP/1.1 client: some connections, one request at a time on each, all in one loop.

A general client costs more CPU per request than the server under test, on the same two cores.
"""

import asyncio
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import cast
from urllib.parse import urlsplit

Talk = Generator[bytes, bytes, None]
"""Requests; each may depend on the body of the answer to the last."""


class Line(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last is complete."""

    def __init__(self, talk: Talk, ended: "asyncio.Future[None]") -> None:
        self._talk = talk
        self._ended = ended
        self._transport: asyncio.WriteTransport
        self._received = b""
        self._body = 0
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._next(None)

    def data_received(self, data: bytes) -> None:
        """Collect an answer; look only at its status and its length."""
        self._received += data
        if not self._needed:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            if self._received[9:12] not in {b"200", b"202"}:
                self._fail(self._received.decode(errors="replace"))
                return
            mark = self._received.lower().index(b"content-length:") + 15
            self._body = head + 4
            self._needed = self._body + int(self._received[mark : self._received.index(b"\r\n", mark)])
        if len(self._received) >= self._needed:
            body = self._received[self._body : self._needed]
            self._received, self._needed = b"", 0
            self._next(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has hung up."""
        self._fail(f"the connection was lost: {exc}")

    def _next(self, body: bytes | None) -> None:
        try:
            self._transport.write(self._talk.send(cast(bytes, body)))
        except StopIteration:
            if not self._ended.done():
                self._ended.set_result(None)
            self._transport.close()

    def _fail(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(AssertionError(reason))


def request(url: str, token: str, path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def send(url: str, requests: Iterator[bytes], connections: int) -> None:
    """Send every request, over so many connections, and wait for every answer. Raises AssertionError for a refusal."""
    await converse(url, [_monologue(requests) for _ in range(connections)])


async def converse(url: str, talks: Sequence[Talk]) -> None:
    """Hold these conversations, each over a connection of its own. Raises AssertionError for a refusal."""
    loop = asyncio.get_running_loop()
    address = urlsplit(url)
    ended: list[asyncio.Future[None]] = [loop.create_future() for _ in talks]
    for talk, future in zip(talks, ended, strict=True):
        await loop.create_connection(partial(Line, talk, future), str(address.hostname), int(address.port or 80))
    await asyncio.gather(*ended)


def _monologue(requests: Iterator[bytes]) -> Talk:
    for each in requests:  # noqa: UP028 - what is answered is not for whoever made the requests
        yield each
