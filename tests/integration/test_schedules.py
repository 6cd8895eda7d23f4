"""Schedules: every time makes one job, whoever looks and however late."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra import files, jobs, schedules
from infra.cron import Cron
from infra.schedules import Schedule
from tests.makers import new_file


@pytest.fixture
def wanted(database: Engine) -> Schedule:
    params = {"file": new_file(database), "time": 0}
    return Schedule(Cron("0 6 * * *", "Europe/Berlin"), "analyze.sleep", params, 2, overlap=False, enabled=True)


def put(database: Engine, wanted: Schedule, name: str = "daily") -> bool:
    with database.begin() as connection:
        return schedules.put(connection, name, wanted, "me")


def due(database: Engine, ago: str = "1 s") -> None:
    """Its next time has come."""
    with database.begin() as connection:
        connection.execute(text("update schedules set next_at = now() - cast(:ago as interval)"), {"ago": ago})


def run(database: Engine) -> None:
    with database.begin() as connection:
        schedules.run_due(connection)


def look(database: Engine, name: str = "daily") -> Any:
    with database.begin() as connection:
        row = schedules.get(connection, name)
    assert row is not None
    return row


def made(database: Engine) -> list[Any]:
    with database.begin() as connection:
        return list(connection.execute(text("select * from jobs order by id")))


def test_a_time_that_has_come_makes_a_job(database: Engine, wanted: Schedule) -> None:
    assert put(database, wanted)
    run(database)
    assert made(database) == []
    due(database)
    run(database)
    run(database)
    [job] = made(database)
    assert (job.via, job.submitted_by, job.priority, job.state) == ("schedule", "schedule:daily", 2, "queued")
    assert job.idempotency_key.startswith("daily@")
    row = look(database)
    assert row["last_job_id"] == job.id
    assert row["next_at"] > row["last_at"]


def test_two_leaders_make_one_job(database: Engine, wanted: Schedule) -> None:
    put(database, wanted)
    due(database)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run(database), range(8)))
    assert len(made(database)) == 1
    # Even one that has not seen that the schedule has moved on.
    with database.begin() as connection:
        connection.execute(text("update schedules set next_at = last_at, overlap = true"))
    run(database)
    assert len(made(database)) == 1


def test_missed_times_are_no_flood(database: Engine, wanted: Schedule) -> None:
    put(database, replace(wanted, cron=Cron("* * * * *", "UTC")))
    due(database, "3 days")
    run(database)
    run(database)
    assert len(made(database)) == 1


def test_while_the_job_before_lives_a_time_is_left_out(database: Engine, wanted: Schedule) -> None:
    put(database, wanted)
    for _ in range(2):
        due(database)
        run(database)
    [job] = made(database)
    assert look(database)["skipped_at"] is not None
    with database.begin() as connection:
        assert jobs.cancel(connection, job.id)
    due(database)
    run(database)
    assert len(made(database)) == 2
    put(database, replace(wanted, overlap=True))
    due(database)
    run(database)
    assert len(made(database)) == 3


def test_a_file_that_is_gone_is_told_and_the_schedule_goes_on(database: Engine, wanted: Schedule) -> None:
    put(database, wanted)
    other = replace(wanted, params={"file": new_file(database, b"other"), "time": 0})
    put(database, other, "other")
    with database.begin() as connection:
        assert files.delete(connection, wanted.params["file"])
    due(database)
    run(database)
    assert len(made(database)) == 1, "the other one is not held up"
    row = look(database)
    assert "not there" in row["error"]
    assert row["next_at"] > row["last_at"]
    put(database, other)
    assert look(database)["error"] is None


def test_saying_the_same_again_leaves_nothing_out(database: Engine, wanted: Schedule) -> None:
    put(database, wanted)
    due(database)
    assert not put(database, wanted)
    run(database)
    assert len(made(database)) == 1
    put(database, replace(wanted, enabled=False))
    due(database)
    run(database)
    put(database, wanted)
    run(database)
    assert len(made(database)) == 1, "what came while it was off is over"


def test_schedules_are_listed_by_name_and_forgotten(database: Engine, wanted: Schedule) -> None:
    for name in ("c", "a", "b"):
        put(database, wanted, name)
    with database.begin() as connection:
        assert [row["name"] for row in schedules.page(connection, "", 2)] == ["a", "b"]
        assert [row["name"] for row in schedules.page(connection, "b", 2)] == ["c"]
        assert schedules.delete(connection, "b")
        assert not schedules.delete(connection, "b")
