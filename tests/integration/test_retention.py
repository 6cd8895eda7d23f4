"""What is old goes, with all that belongs to it; what somebody still needs stays."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from infra import claims, jobs, retention, steps, submission
from infra.retention import Terms
from infra.steps import Checkpoint
from tests.makers import new_command, new_file, stored

TERMS = Terms(jobs=3600.0)
TABLES = ("jobs", "job_inputs", "job_steps", "job_outputs", "job_dependencies", "discards")


class Past:
    """Jobs that ended two hours ago."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.file = new_file(engine)

    def job(self, content: bytes | None = None, **terms: Any) -> UUID:
        command = new_command(self.file, **terms)
        with self.engine.begin() as connection:
            submission.submit(connection, [command])
        if command.after:
            return command.id
        with self.engine.begin() as connection:
            claim = claims.claim(connection, command.id, "w", 30)
            assert claim is not None
            part = (stored(content, "part"),) if content else ()
            assert steps.checkpoint(connection, claim.id, claim.token, Checkpoint("part", 0, {}, part))
            assert claims.succeed(connection, claim, {}, []) == "succeeded"
        self.age()
        return command.id

    def age(self) -> None:
        with self.engine.begin() as connection:
            older = "update jobs set finished_at = now() - interval '2 hours' where finished_at is not null"
            connection.execute(text(older))

    def let_go(self) -> None:
        while True:
            with self.engine.begin() as connection:
                if not retention.let_go(connection, TERMS).more:
                    return

    def count(self, table: str) -> int:
        with self.engine.begin() as connection:
            return int(connection.execute(text(f"select count(*) from {table}")).scalar_one())


@pytest.fixture
def past(database: Engine) -> Past:
    return Past(database)


def test_old_jobs_go_with_all_that_belongs_to_them(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "OUTPUTS", 1)
    monkeypatch.setattr(retention, "JOBS", 2)
    for n in range(5):
        past.job(b"%d" % n)
    fresh = new_command(past.file)
    with past.engine.begin() as connection:
        submission.submit(connection, [fresh])
        assert jobs.cancel(connection, fresh.id)
    past.let_go()
    assert {table: past.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0) | {"jobs": 1, "job_inputs": 1}
    assert past.count("erasures") == 5, "and so do the objects"
    assert past.count("files") == 1


def test_what_somebody_else_names_stays(past: Past) -> None:
    past.job(b"shared")
    with past.engine.begin() as connection:
        young = new_command(past.file)
        submission.submit(connection, [young])
        claim = claims.claim(connection, young.id, "w", 30)
        assert claim is not None
        assert claims.succeed(connection, claim, {}, [stored(b"shared", "mine")]) == "succeeded"
    past.let_go()
    assert past.count("job_outputs") == 1
    with past.engine.begin() as connection:
        kept = "select object_key from blobs join job_outputs using (sha256)"
        assert connection.execute(text(kept)).scalar_one() is not None


def test_a_job_that_a_living_one_needs_stays(past: Past) -> None:
    needed, unneeded = past.job(), past.job()
    waiting = past.job(after=(needed,))
    past.let_go()
    assert past.count("jobs") == 2
    with past.engine.begin() as connection:
        assert jobs.cancel(connection, waiting)
    past.age()
    past.let_go()
    assert past.count("jobs") == 0
    assert unneeded


def test_a_parent_goes_after_its_children(past: Past) -> None:
    parent = past.job()
    child = new_command(past.file, parent_id=parent)
    with past.engine.begin() as connection:
        submission.submit(connection, [child])
    past.let_go()
    assert past.count("jobs") == 2
    with past.engine.begin() as connection:
        assert jobs.cancel(connection, child.id)
    past.age()
    past.let_go()
    past.let_go()
    assert past.count("jobs") == 0


def test_parked_messages_that_are_dealt_with_go(past: Past) -> None:
    with past.engine.begin() as connection:
        connection.execute(
            text(
                "insert into parked (queue, routing_key, code, detail, fingerprint, body, size, properties, headers,"
                " resolution, resolved_at) select 'q', 'k', 'c', 'd', 'f', '', 0, '{}', '{}', resolution, resolved_at"
                " from (values ('replayed', now() - interval '2 hours'), ('discarded', now()), (null, null))"
                " as p (resolution, resolved_at)"
            )
        )
    past.let_go()
    assert past.count("parked") == 2
