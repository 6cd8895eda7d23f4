"""Catching a consumer in the middle of its work, however fast it is, and however slow the test."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from infra import db
from tests.system import System

#: Whoever comes to the line waits for this lock, for as long as the test has it.
LOCK = 7
#: The part of a job with this number is not noted, nor what comes after it. The job's row is held meanwhile.
PART = """
create or replace function halfway() returns trigger language plpgsql as $$ begin
    perform pg_advisory_xact_lock_shared({lock});
    return new;
end $$;
create or replace trigger halfway before insert on job_steps for each row when (new.ordinal >= {part})
    execute function halfway();
"""
#: A child that has told that it is on its way says no more, and comes to no end. No row is held meanwhile.
PROGRESS = """
create or replace function halfway() returns trigger language plpgsql as $$ begin
    if current_setting('application_name') = '{child}'
        and exists (select from jobs where state = 'running' and progress > 1)
    then
        perform pg_advisory_xact_lock_shared({lock});
    end if;
    return null;
end $$;
create or replace trigger halfway before update of progress on jobs for each statement execute function halfway();
"""


@contextmanager
def no_further_than(system: System, part: int) -> Iterator[None]:
    """In here no job gets further than to have noted so many parts."""
    with _line(system, PART.format(lock=LOCK, part=part)):
        yield


@contextmanager
def no_end(system: System, consumer: str) -> Iterator[None]:
    """In here a job of this consumer begins, tells of its progress, and comes to no end."""
    with _line(system, PROGRESS.format(lock=LOCK, child=f"{consumer}-child")):
        yield


@contextmanager
def _line(system: System, drawn: str) -> Iterator[None]:
    """Draw a line across the work, and hold it. Whoever was killed at it does nothing when it is let go."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(drawn))
        _lock(connection, "pg_advisory_lock")
        try:
            yield
        finally:
            _lock(connection, "pg_advisory_unlock")
    engine.dispose()


def _lock(connection: Connection, how: str) -> None:
    connection.execute(text(f"select {how}({LOCK})"))
