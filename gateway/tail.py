"""The end of the events, read once for everybody who listens: by number, a few times a second, while anybody does.

A listener reads at his own pace. What he needs is here in memory as long as he keeps up; one who fell behind, or comes
back after a while, reads from the table until he has caught up. So a slow listener costs nobody else anything, and
there is no queue of his that could grow.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from uuid import UUID

import orjson
import structlog
from sqlalchemy import Engine
from sse_starlette.sse import AppStatus

from gateway.problems import unavailable
from gateway.services import in_thread
from infra import db, events, metrics
from infra.events import Page

log = structlog.get_logger()

POLL_SECONDS = 0.2
AWAY_SECONDS = 1.0
BATCH = 500
#: Facts in memory: a second of a very busy system.
KEPT = 4000
MOST_LISTENERS = 200


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as it goes out in a stream."""

    seq: int
    type: str
    job_id: UUID | None
    wire: bytes


def told(row: db.Row) -> Told:
    """A row of the events as it goes out."""
    body = orjson.dumps(dict(row), option=orjson.OPT_UTC_Z)
    return Told(row["seq"], row["type"], row["job_id"], b"id: %d\ndata: %s\n\n" % (row["seq"], body))


class Tail:
    """One reader of the events for one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recent: list[Told] = []
        self._head = -1
        """The last number that was read; -1 before anything was."""
        self._news = asyncio.Event()
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether as many listen as may."""
        return self._listeners >= MOST_LISTENERS

    @property
    def closing(self) -> bool:
        """Whether the process has been told to stop: who listens says goodbye."""
        return AppStatus.should_exit

    def require_room(self) -> None:
        """Raise a 503 problem when nobody else can listen."""
        if self.full:
            raise unavailable("too_many_listeners", "Too many listen to events here; try again shortly.")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """The events are read while somebody is in here."""
        self._count(1)
        if self._task is None:
            self._task = asyncio.create_task(self._read_for_ever(), name="tail")
        try:
            yield
        finally:
            self._count(-1)
            if not self._listeners:
                self._forget()

    def has_nothing_after(self, seq: int) -> bool:
        """Whether this number is the last one, as far as we have read."""
        return seq >= self._head >= 0

    def after(self, seq: int, limit: int) -> Sequence[Told] | None:
        """The next facts after this number, from memory; None when they are not there."""
        if self.has_nothing_after(seq):
            return ()
        if not self._recent or seq + 1 < self._recent[0].seq:
            return None
        start = bisect_right(self._recent, seq, key=attrgetter("seq"))
        return self._recent[start : start + limit]

    async def wait(self, seq: int, seconds: float) -> None:
        """Until there is a fact after this number, or the process stops, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.closing and seq >= self._head:
                    await self._news.wait()

    def _count(self, change: int) -> None:
        self._listeners += change
        metrics.event_listeners.set(self._listeners)

    async def _read_for_ever(self) -> None:
        while not self.closing:
            try:
                wait = 0.0 if await self._read() else POLL_SECONDS
            except Exception as error:
                log.warning("the events cannot be read", action="tail.away", error=type(error).__name__)
                wait = AWAY_SECONDS
            await asyncio.sleep(wait)
        self._wake()

    async def _read(self) -> bool:
        if self._head < 0:
            self._head = await in_thread(self._find_head)
            return False
        page = await in_thread(self._page, self._head)
        if page.rows:
            self._recent += map(told, page.rows)
            if len(self._recent) > 2 * KEPT:
                del self._recent[:-KEPT]
            self._head = page.next
            self._wake()
        return page.more

    def _find_head(self) -> int:
        with self._engine.begin() as connection:
            return events.span(connection).head

    def _page(self, since: int) -> Page:
        with self._engine.begin() as connection:
            return events.page(connection, since, None, BATCH)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _forget(self) -> None:
        """Nobody listens: what is in memory would only get old."""
        if self._task is not None:
            self._task.cancel()
        self._task = None
        self._head = -1
        self._recent.clear()
