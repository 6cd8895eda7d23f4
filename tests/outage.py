"""Taking a database away from everybody, and giving it back."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text


@contextmanager
def cut_off(admin: Engine, database: Engine) -> Iterator[None]:
    """Nobody gets into a database, and who is in it is thrown out."""
    name = database.url.database
    with admin.connect() as connection:
        connection.execute(text(f"alter database {name} allow_connections false"))
    hang_up(admin, str(name))
    try:
        yield
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"alter database {name} allow_connections true"))


def hang_up(admin: Engine, database: str) -> None:
    """Cut every connection to a database; whoever wants to may come back at once."""
    with admin.connect() as connection:
        connection.execute(
            text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"), {"name": database}
        )
