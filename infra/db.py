"""The only importer of the database driver: the engine, and SQL by name.

Queries stand in `infra/sql/<file>.sql`, each under a line `-- name: <query>`; `sql("jobs.get")` is the query `get` of
`jobs.sql`. No SQL is put together from strings anywhere.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cache
from importlib import resources
from typing import Any, BinaryIO, cast

import orjson
import psycopg2
import psycopg2.extras
from sqlalchemy import Connection, CursorResult, Engine, RowMapping, TextClause, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import ConnectionPoolEntry

Row = RowMapping


LONGEST_IDLE_SECONDS = 60.0
CONNECT_SECONDS = 5
"""How long the server may take to let somebody in."""
COPY_BUFFER = 1024 * 1024


def connect(
    url: str,
    pool: int = 8,
    application: str = "reelmill",
    idle_seconds: float = LONGEST_IDLE_SECONDS,
    lock_seconds: float = 0,
) -> Engine:
    """An engine with at most `pool` connections. A dead connection is noticed before it is used (pre-ping).

    The server ends a transaction in which nothing happens for `idle_seconds`: what it had locked is free again. A
    statement that waits for a lock for longer than `lock_seconds` fails; 0: it waits for ever.
    """
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg2://", 1),
        pool_size=pool,
        max_overflow=0,
        pool_pre_ping=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "application_name": application,
            "connect_timeout": CONNECT_SECONDS,
            # A peer that vanished without a word is noticed in about 20 s, not in two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": 20_000,  # keepalives are silent while data is on its way
            "options": f"-c timezone=UTC -c idle_in_transaction_session_timeout={round(idle_seconds * 1000)}"
            f" -c lock_timeout={round(lock_seconds * 1000)}",
        },
    )
    event.listen(engine, "connect", _register_types)
    return engine


def _register_types(connection: Any, _: ConnectionPoolEntry) -> None:
    psycopg2.extras.register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]


@cache
def _queries(file: str) -> dict[str, TextClause]:
    source = resources.files("infra").joinpath("sql", f"{file}.sql").read_text()
    parts = source.split("-- name: ")[1:]
    return {name.strip(): text(body.strip()) for name, _, body in (part.partition("\n") for part in parts)}


def sql(name: str) -> TextClause:
    """The query called `<file>.<query>`. Raises KeyError for a name that no file has."""
    file, _, query = name.partition(".")
    return _queries(file)[query]


def rows(connection: Connection, query: str, /, **values: Any) -> Sequence[Row]:
    """Run a named query and return its rows as mappings."""
    return connection.execute(sql(query), values).mappings().all()


def row(connection: Connection, query: str, /, **values: Any) -> Row | None:
    """Run a named query that gives at most one row."""
    return connection.execute(sql(query), values).mappings().one_or_none()


def run(connection: Connection, query: str, /, **values: Any) -> int:
    """Run a named query for its effect and return the number of rows it touched."""
    result: CursorResult[Any] = connection.execute(sql(query), values)
    return result.rowcount


def copy_out(connection: Connection, query: str, sink: BinaryIO) -> None:
    """Write what a named COPY statement sends, row by row as it comes, within the connection's transaction."""
    statement = str(sql(query))
    with closing(connection.connection.cursor()) as cursor:
        try:
            cast(Any, cursor).copy_expert(statement, sink, COPY_BUFFER)
        except psycopg2.Error as error:  # it went past SQLAlchemy: say it as it would have
            connection.invalidate(error)
            raise DBAPIError.instance(statement, None, error, psycopg2.Error) from error


def document(value: Any) -> str:
    """JSON text for a `jsonb` parameter."""
    return orjson.dumps(value).decode()


def documents(values: Iterable[Any]) -> list[str]:
    """JSON texts for a `jsonb[]` parameter."""
    return [document(value) for value in values]


def array(values: Iterable[object]) -> str:
    """Numbers or ids as one literal, for `cast(:name as uuid[])`: a list would be an expression for each to parse."""
    return f"{{{','.join(map(str, values))}}}"


def copy_in(connection: Connection, query: str, source: Any) -> int:
    """Run a named `copy ... from stdin` with what `source.read(size)` gives, in pieces; returns the number of rows."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        cursor.copy_expert(sql(query).text, source, 256 * 1024)
        return int(cursor.rowcount)


def constraint_of(error: DBAPIError) -> str | None:
    """The name of the constraint that refused a statement, if one did."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None)


def is_forbidden(error: DBAPIError) -> bool:
    """Whether a policy or a missing grant refused a statement."""
    return getattr(error.orig, "pgcode", None) == "42501"


def is_unspeakable(error: ValueError) -> bool:
    """Whether the driver could not even send a value: text with a NUL or with half a character in it."""
    return isinstance(error, UnicodeEncodeError) or "NUL (0x00)" in str(error)


#: A value that the database cannot store, however it got so far.
UNSTORABLE = DataError

#: What `is_forbidden` has to look at.
FORBIDDEN = ProgrammingError

#: A constraint refused the statement; `constraint_of` names it.
REFUSED = IntegrityError

#: The code of "somebody else has held what we need for longer than we wait".
LOCK_NOT_AVAILABLE = "55P03"

#: The database is away, went away or has no connection free: try again, nothing is wrong with the statement.
AWAY = (OperationalError, InterfaceError, PoolExhausted)
