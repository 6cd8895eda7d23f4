"""The runtime's way to the database: short, bounded transactions, and one exception for "it is away"."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004 - the pool's own

from infra import db

# So long the connection is trusted without a question; then the pool asks it whether it is still there.
TRUSTED_SECONDS = 2.0


class DatabaseAway(Exception):
    """The database does not answer: nothing was decided, the same may be tried again."""


class Locked(DatabaseAway):
    """Somebody else has what we need, and keeps it for longer than we wait."""


class Database:
    """Transactions for a loop that must not be held up.

    The loop's own connection is kept from one to the next: a claim is three round trips instead of five.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Connection | None = None
        self._trusted_until = 0.0
        self._turn = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction in which waiting for a lock or an answer is bounded to seconds. Raises DatabaseAway.

        For one thread at a time.
        """
        with self._turn, translated():
            connection = self._checked()
            try:
                with connection.begin():
                    yield connection
            except DBAPIError:
                self._drop()
                raise
            self._trusted_until = time.monotonic() + TRUSTED_SECONDS

    def ready(self) -> bool:
        """Whether the database answers. From any thread."""
        with translated(), self._engine.begin() as connection:
            db.run(connection, "claims.patience")
            return True

    def close(self) -> None:
        """Close the connections."""
        self._drop()
        self._engine.dispose()

    def _checked(self) -> Connection:
        if time.monotonic() > self._trusted_until:
            self._drop()
        if self._kept is None:
            self._kept = self._engine.connect()
            with self._kept.begin():
                db.run(self._kept, "claims.lasting_patience")
        return self._kept

    def _drop(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's many ways to say "away" into DatabaseAway."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == db.LOCK_NOT_AVAILABLE:
            raise Locked(str(error.orig).strip()) from error
        if isinstance(error, db.AWAY) or error.connection_invalidated:
            raise DatabaseAway(str(error.orig).strip()) from error
        raise
    except TimeoutError as error:
        raise DatabaseAway("no connection became free") from error
