"""Schedules from outside: made, listed, run, refused and forgotten."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra import db
from infra.cli.exits import Exit
from tests.journey.test_cli import reelmill
from tests.system import System, until

ECHO: dict[str, Any] = {"cron": "0 6 * * 1-5", "kind": "probe.echo", "params": {"text": "hello"}}


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway", "relay", "dispatcher")
    return shared


@pytest.fixture(scope="module")
def database(system: System) -> Iterator[Engine]:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    yield engine
    engine.dispose()


def test_a_schedule_makes_its_job_when_its_time_has_come(system: System, database: Engine) -> None:
    made = system.http.put("/v1/schedules/hello", json=ECHO | {"timezone": "Europe/Berlin"})
    assert made.status_code == 201
    assert (made.json()["overlap"], made.json()["last_job_id"], made.json()["created_by"]) == (False, None, "test")
    with database.begin() as connection:
        connection.execute(text("update schedules set next_at = now() where name = 'hello'"))

    def ran() -> str | None:
        found: str | None = system.http.get("/v1/schedules/hello").json()["last_job_id"]
        return found

    job = system.until_state(until(ran, "a job is made"), "succeeded")
    assert (job["via"], job["submitted_by"]) == ("schedule", "schedule:hello")
    assert system.http.put("/v1/schedules/hello", json=ECHO).status_code == 200


def test_file_references_are_resolved_when_it_is_made(system: System) -> None:
    file = system.upload(b"of a schedule")
    wanted = {"cron": "0 0 * * *", "kind": "analyze.sleep", "params": {"file": file[:10], "time": 0}}
    assert system.http.put("/v1/schedules/sleep", json=wanted).json()["params"]["file"] == file


def test_the_command_line_sets_lists_and_removes(system: System) -> None:
    done = reelmill(system, "schedules", "set", "cli", "*/5 * * * *", "probe.echo", '{"text": "x"}', "--json")
    assert done.returncode == Exit.OK, done.stderr
    assert json.loads(done.stdout)["next_at"]
    assert "cli" in reelmill(system, "schedules", "list").stdout
    assert reelmill(system, "schedules", "rm", "cli").returncode == Exit.OK
    assert reelmill(system, "schedules", "rm", "cli").returncode == Exit.NOT_FOUND


@pytest.mark.row("X-17")
def test_the_list_pages_by_name(system: System) -> None:
    for n in range(5):
        assert system.http.put(f"/v1/schedules/page-{n}", json=ECHO | {"enabled": False}).status_code == 201
    page = system.http.get("/v1/schedules", params={"limit": 2, "cursor": "page-0"}).json()
    assert [s["name"] for s in page["schedules"]] == ["page-1", "page-2"]
    assert page["next"] == "page-2"
    assert page["schedules"][0]["next_at"] is None
    assert system.http.delete("/v1/schedules/page-0").status_code == 204
    assert system.http.get("/v1/schedules/page-0").status_code == 404


@pytest.mark.parametrize(
    ("name", "change", "status", "code"),
    [
        ("bad", {"cron": "every day"}, 400, "invalid_parameter"),
        ("bad", {"cron": "0 0 30 2 *"}, 400, "invalid_parameter"),
        ("bad", {"timezone": "Mars/Olympus"}, 400, "invalid_parameter"),
        ("bad", {"timezone": "../../etc/passwd"}, 400, "invalid_parameter"),
        ("bad", {"kind": "no.such"}, 400, "unknown_kind"),
        ("bad", {"params": {"text": 5}}, 400, "invalid_parameter"),
        ("bad", {"kind": "analyze.sleep", "params": {"file": "abcdef", "time": 0}}, 404, "unknown_file"),
        ("bad", {"priority": 10}, 400, "invalid_parameter"),
        ("bad", {"often": True}, 400, "invalid_parameter"),
        ("BAD", {}, 400, "bad_name"),
        ("a" * 101, {}, 400, "bad_name"),
    ],
)
def test_what_can_never_run_is_refused_at_once(
    system: System, name: str, change: dict[str, Any], status: int, code: str
) -> None:
    answer = system.http.put(f"/v1/schedules/{name}", json=ECHO | change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert system.http.get(f"/v1/schedules/{name}").status_code == 404
