"""The runtime's way to the database: short, bounded transactions, and one exception for "it is away"."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004 - the pool's own

from infra import db


class DatabaseAway(Exception):
    """The database does not answer: nothing was decided, the same may be tried again."""


class Database:
    """Transactions for a loop that must not be held up."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction in which waiting for a lock or an answer is bounded to seconds. Raises DatabaseAway."""
        with translated(), self._engine.begin() as connection:
            db.run(connection, "claims.patience")
            yield connection

    def ready(self) -> bool:
        """Whether the database answers."""
        with self.transaction():
            return True

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's many ways to say "away" into DatabaseAway."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, db.AWAY) or error.connection_invalidated:
            raise DatabaseAway(str(error.orig).strip()) from error
        raise
    except TimeoutError as error:
        raise DatabaseAway("no connection became free") from error
