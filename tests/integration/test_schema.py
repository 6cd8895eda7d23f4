"""The schema: what migrations make is what the models say, and the database keeps the invariants by itself."""

import os
import subprocess
import sys
import threading
import uuid

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from infra import db
from infra.migrate import migrate
from infra.tables import metadata
from schemas.states import FAST_MOVES, MOVES, JobState

NEW_JOB = text(
    "insert into jobs (id, kind, consumer, state, params, submitted_by, via, max_attempts, queued_at)"
    " values (:id, 'k', 'c', 'queued', '{}', 'me', 'http', 3, now())"
)


def new_job(connection: Connection) -> uuid.UUID:
    job_id = uuid.uuid4()
    connection.execute(NEW_JOB, {"id": job_id})
    return job_id


def test_migrations_make_what_the_models_say(database: Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.row("S0-03")
def test_migrating_twice_and_at_once_is_safe(database_url: str) -> None:
    engines = [db.connect(database_url) for _ in range(4)]
    with engines[0].begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    errors: list[BaseException] = []

    def run(engine: Engine) -> None:
        try:
            migrate(engine)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert errors == []


@pytest.mark.row("S0-03")
def test_the_command_run_twice_at_once_leaves_all_as_it_is(environment: dict[str, str], database: Engine) -> None:
    with database.begin() as connection:
        job_id = new_job(connection)
    command = [sys.executable, "-c", "from infra.cli.app import main; main()", "migrate"]
    running = [subprocess.Popen(command, env=os.environ | environment) for _ in range(2)]
    assert [process.wait(600) for process in running] == [0, 0]
    with database.connect() as connection:
        assert connection.execute(text("select id from jobs")).scalar_one() == job_id


def test_the_database_knows_the_same_moves(database: Engine) -> None:
    with database.connect() as connection:
        rows = connection.execute(text("select before, after, fast_only from job_moves")).all()
    assert {(JobState(before), JobState(after)) for before, after, fast_only in rows if not fast_only} == MOVES
    assert {(JobState(before), JobState(after)) for before, after, fast_only in rows if fast_only} == FAST_MOVES


@pytest.mark.row("X-19")
def test_a_move_writes_its_event_and_an_illegal_one_is_refused(database: Engine) -> None:
    with database.begin() as connection:
        job_id = new_job(connection)
    with database.begin() as connection:
        connection.execute(
            text("update jobs set state = 'cancelled', finished_at = now() where id = :id"), {"id": job_id}
        )
    with pytest.raises(IntegrityError) as refusal, database.begin() as connection:
        connection.execute(text("update jobs set state = 'succeeded', result = '{}' where id = :id"), {"id": job_id})
    assert db.constraint_of(refusal.value) == "jobs_move_check"
    with database.connect() as connection:
        told = connection.execute(
            text("select type from events where job_id = :id order by id"), {"id": job_id}
        ).scalars()
        assert list(told) == ["job.k.queued", "job.k.cancelled"]


@pytest.mark.parametrize(
    "broken",
    [
        "update jobs set state = 'running' where id = :id",
        "update jobs set state = 'cancelled' where id = :id",
        "update jobs set progress = 101 where id = :id",
        "update jobs set attempt = 4 where id = :id",
        "update jobs set token = 1 where id = :id",
        "update jobs set state = 'lost' where id = :id",
    ],
)
def test_a_state_and_its_facts_cannot_disagree(database: Engine, broken: str) -> None:
    with database.begin() as connection:
        job_id = new_job(connection)
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(text(broken), {"id": job_id})
