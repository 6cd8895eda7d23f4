"""One event stream: from a number on, what is wanted of the facts, until the listener goes or there is nothing more.

Every message has its number as its id, so a listener who comes back with `Last-Event-ID` misses nothing. A message is
JSON with its type inside, and not a named event: `onmessage` gets them all. The last message of a stream that ends in
order is the event `close`, with the reason.
"""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import anyio
import structlog
from sqlalchemy import Connection, Engine
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from gateway.services import in_thread
from gateway.tail import Tail, Told, told
from infra import db, events
from schemas.events import matches
from schemas.states import TERMINAL

log = structlog.get_logger()

RETRY_MILLISECONDS = 2000
KEEP_ALIVE_SECONDS = 15.0
#: Then the listener comes back and shows his token again.
LONGEST_SECONDS = 3600.0
#: A listener who does not read for so long is let go.
STUCK_SECONDS = 30.0
PARTING_SECONDS = 2.0
AWAY_SECONDS = 1.0
PAGE = 500
PIECE_BYTES = 32 * 1024
ENDS = tuple(f".{state.value}" for state in TERMINAL)


@dataclass(frozen=True)
class Wanted:
    """Which facts a listener asked for: an expression over types, one job. The stream ends with the job `until`."""

    types: str | None = None
    job_id: UUID | None = None
    until: UUID | None = None
    tenant: str = ""
    """Who listens in the name of a tenant reads for himself: memory holds what everybody may not hear."""

    def takes(self, fact: Told) -> bool:
        """Whether a fact is among them."""
        return (self.job_id is None or fact.job_id == self.job_id) and matches(self.types, fact.type)


class Stream(EventSourceResponse):
    """The reply. It holds a place among the listeners for as long as it goes."""

    def __init__(self, tail: Tail, engine: Engine, since: int, wanted: Wanted) -> None:
        self._tail = tail
        self._engine = engine
        self._position = since
        self._wanted = wanted
        super().__init__(
            self._messages(),
            ping=0,  # ours tell how far the listener is
            sep="\n",
            send_timeout=STUCK_SECONDS,
            shutdown_grace_period=PARTING_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until it is over."""
        with self._tail.listening():
            try:
                await super().__call__(scope, receive, send)
            except SendTimeoutError:
                log.info("a listener does not read", action="stream.stuck", seq=self._position)

    async def _messages(self) -> AsyncIterator[bytes]:
        until = time.monotonic() + LONGEST_SECONDS
        yield b"id: %d\nretry: %d\n\n" % (self._position, RETRY_MILLISECONDS)
        while not self._tail.closing and time.monotonic() < until:
            facts = await self._next()
            if facts:
                for piece in _pieces(facts):
                    yield piece
                if await self._ends_with(facts[-1]):
                    yield _close("ended")
                    return
            elif self._tail.has_nothing_after(self._position):
                await self._tail.wait(self._position, KEEP_ALIVE_SECONDS)
                if self._tail.has_nothing_after(self._position) and not self._tail.closing:
                    yield b": still here\nid: %d\n\n" % self._position
        yield _close("shutdown" if self._tail.closing else "renew")

    async def _next(self) -> Sequence[Told]:
        """What is wanted of the next facts, from memory if they are there; moves the position behind them."""
        fresh = self._tail.after(self._position, PAGE)
        if fresh is None or (fresh and self._wanted.tenant):
            return await self._read()
        if fresh:
            self._position = fresh[-1].seq
        return [fact for fact in fresh if self._wanted.takes(fact)]

    async def _read(self) -> Sequence[Told]:
        try:
            page = await in_thread(self._page)
        except db.AWAY as error:
            log.warning("the events cannot be read", action="stream.away", error=type(error).__name__)
            await anyio.sleep(AWAY_SECONDS)
            return ()
        self._position = page.next
        return [fact for fact in map(told, page.rows) if self._wanted.takes(fact)]

    def _page(self) -> events.Page:
        with self._engine.begin() as connection:
            return self._read_page(connection)

    def _read_page(self, connection: Connection) -> events.Page:
        if self._wanted.job_id is not None:
            return events.of_job(connection, self._wanted.job_id, self._position, PAGE, self._wanted.tenant)
        return events.page(connection, self._position, self._wanted.types, PAGE, self._wanted.tenant)

    async def _ends_with(self, last: Told) -> bool:
        """Whether this fact is the last about the job that was followed: a failed one may have been tried again."""
        job_id = self._wanted.until
        return job_id is not None and last.type.endswith(ENDS) and await self._is_over(job_id, last.seq)

    async def _is_over(self, job_id: UUID, seq: int) -> bool:
        while not self._tail.closing:
            try:
                return await in_thread(self._job_is_told, job_id, seq)
            except db.AWAY:
                await anyio.sleep(AWAY_SECONDS)
        return False

    def _job_is_told(self, job_id: UUID, seq: int) -> bool:
        with self._engine.begin() as connection:
            return events.job_is_told(connection, job_id, seq)


def _pieces(facts: Sequence[Told]) -> Iterator[bytes]:
    """The facts in pieces, each small enough that a listener who reads at all takes it in time."""
    piece = b""
    for fact in facts:
        piece += fact.wire
        if len(piece) >= PIECE_BYTES:
            yield piece
            piece = b""
    if piece:
        yield piece


def _close(reason: str) -> bytes:
    return b'event: close\ndata: {"reason":"%s"}\n\n' % reason.encode()
