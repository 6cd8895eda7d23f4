"""Who leads: whoever holds one advisory lock, for as long as its connection speaks.

The lock lives and dies with a connection of its own. A leader that crashes loses it at once; one that hangs or is cut
off loses it after `lease_seconds` of silence. Work that only a leader may do runs on that very connection, so that a
leader of yesterday cannot do it by mistake.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from infra import db
from infra.settings import Settings

log = structlog.get_logger()
T = TypeVar("T")

# Any constant will do; it only has to be the same in every relay of a database.
LEADER_LOCK = 0x5EE1_0002


class LostLeadership(Exception):
    """The connection that held the lock is gone; somebody else may lead by now."""


class Leadership:
    """The right to lead. Statements run in a thread, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._engine = db.connect(
            settings.database_url.get_secret_value(), 1, "reelmill-relay-leader"
        ).execution_options(isolation_level="AUTOCOMMIT")
        self._silence_seconds = settings.lease_seconds
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self.last_answer = float("-inf")
        """When the database answered last, by `time.monotonic`."""

    async def take(self) -> bool:
        """Try to become the leader. False while another one leads or the database is away."""
        async with self._turn:
            try:
                taken = await asyncio.to_thread(self._take)
            except DBAPIError as error:
                self._drop()
                log.warning("database away", action="relay.database_away", reason=type(error).__name__)
                return False
            self.last_answer = time.monotonic()
            return taken

    async def beat(self) -> None:
        """Say that we are alive. Raises LostLeadership."""
        await self.run(lambda connection: db.row(connection, "leadership.beat"))

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run one statement as the leader: it happens only if we still are. Raises LostLeadership."""
        async with self._turn:
            if self._connection is None:
                raise LostLeadership
            try:
                done = await asyncio.to_thread(work, self._connection)
            except DBAPIError as error:
                self._drop()
                raise LostLeadership from error
            self.last_answer = time.monotonic()
            return done

    async def give_up(self) -> None:
        """Let go of the lock, so that another relay leads at once."""
        async with self._turn:
            await asyncio.to_thread(self._give_up)

    def _take(self) -> bool:
        if self._connection is None:
            self._connection = self._engine.connect()
            db.rows(self._connection, "leadership.patience", seconds=max(1, round(self._silence_seconds)))
        row = db.row(self._connection, "leadership.take", lock=LEADER_LOCK)
        return row is not None and row["taken"] is True

    def _give_up(self) -> None:
        if self._connection is not None:
            # A server frees the lock of a closed session only when it comes to it: the next in line need not wait.
            with suppress(DBAPIError):
                db.rows(self._connection, "leadership.give_up", lock=LEADER_LOCK)
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # closes the session, and the lock with it; a pooled one would keep both
            connection.close()
