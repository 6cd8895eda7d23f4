"""Bulk actions from end to end: by HTTP and by the command line, done by the keeper, cancellable like any job."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra import db
from infra.cli.exits import Exit
from tests.journey.test_cli import reelmill
from tests.system import System, until

LATER = {"run_at": "2100-01-01T00:00:00Z"}


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay", "keeper")
    return shared


@pytest.fixture(scope="module")
def file(system: System) -> str:
    return system.upload(b"hello", "hello.txt")


def many(system: System, file: str, number: int, **terms: Any) -> list[str]:
    return [system.submit("analyze.sleep", {"file": file, "time": 0}, **terms) for _ in range(number)]


def bulk(system: System, action: str, **rest: Any) -> Any:
    answer = system.http.post("/v1/jobs/bulk", json={"action": action, **rest})
    assert answer.is_success, answer.text
    return answer.json()


def waits(engine: Engine) -> bool:
    """Whether somebody waits for a lock in this database."""
    waiting = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = :name")
    with engine.connect() as connection:
        return bool(connection.execute(waiting, {"name": engine.url.database}).scalar_one())


def outcomes(system: System, job_id: str) -> list[dict[str, Any]]:
    answer = system.http.get(f"/v1/jobs/{job_id}/outputs/outcomes.ndjson", follow_redirects=True)
    return [json.loads(line) for line in answer.text.splitlines()]


def test_many_jobs_are_counted_cancelled_and_retried_by_a_job(system: System, file: str) -> None:
    since = datetime.now(UTC).isoformat()
    ids = many(system, file, 30, **LATER)
    chosen = {"state": "scheduled", "kind": "analyze.sleep", "created_after": since}
    seen = bulk(system, "cancel", filter=chosen, dry_run=True)
    assert (seen["count"], seen["more"]) == (30, False)
    assert set(seen["sample"]) <= set(ids)
    assert system.job(ids[0])["state"] == "scheduled"
    job = bulk(system, "cancel", filter=chosen)
    assert (job["kind"], job["state"]) == ("jobs.bulk", "queued")
    done = system.until_state(job["id"], "succeeded")
    assert done["result"] == {"action": "cancel", "jobs": 30, "cancelled": 30}
    told = outcomes(system, job["id"])
    assert told == [{"id": n, "outcome": "cancelled"} for n in sorted(ids)]
    assert {system.job(n)["state"] for n in ids} == {"cancelled"}
    back = bulk(system, "retry", filter={"ids": [*ids[:10], job["id"]]})
    system.until_state(back["id"], "succeeded")
    told = outcomes(system, back["id"])
    assert Counter(item["outcome"] for item in told) == {"queued": 10, "skipped": 1}
    assert {item["id"]: item["why"] for item in told if "why" in item} == {job["id"]: "is_succeeded"}


def test_a_bulk_job_is_cancelled_like_any_other(system: System, file: str) -> None:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=2, idle_seconds=3600)
    [held] = many(system, file, 1, **LATER, key="held")
    with engine.begin() as connection:
        # Somebody holds the row of a job, so that the keeper cannot get past it.
        connection.execute(text("select from jobs where id = :id for update"), {"id": held})
        job = bulk(system, "cancel", filter={"ids": [held]})
        system.until_state(job["id"], "running")
        until(lambda: waits(engine), "the keeper waits for the row")
        assert system.http.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
        system.until_state(job["id"], "cancelled")
    engine.dispose()
    assert system.job(held)["state"] == "scheduled"


@pytest.mark.row("X-18")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_parameter"),
        ({"action": "cancel", "filter": {}}, "invalid_parameter"),
        ({"action": "delete", "filter": {"state": "failed"}}, "invalid_parameter"),
        ({"action": "cancel", "filter": {"state": "succeeded"}}, "invalid_parameter"),
        ({"action": "cancel", "filter": {"ids": ["x"]}}, "invalid_parameter"),
        ({"action": "cancel", "filter": {"kind": "no.such"}}, "unknown_kind"),
        ({"action": "cancel", "filter": {"submitted_by": "\0"}}, "invalid_parameter"),
        ({"action": "cancel", "filter": {"created_after": "yesterday"}}, "invalid_parameter"),
    ],
)
def test_bad_requests_get_a_problem(system: System, body: Any, code: str) -> None:
    answer = system.http.post("/v1/jobs/bulk", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_the_command_line_looks_asks_and_acts(system: System, file: str) -> None:
    many(system, file, 3, **LATER)
    scheduled = len(system.http.get("/v1/jobs", params={"state": "scheduled"}).json()["jobs"])
    looked = reelmill(system, "jobs", "cancel", "--state", "scheduled", "--kind", "analyze.sleep", "--dry-run")
    assert looked.returncode == Exit.OK
    assert looked.stdout.startswith(f"{scheduled} jobs")  # those of other tests, too
    unasked = reelmill(system, "jobs", "cancel", "--state", "scheduled")
    assert (unasked.returncode, "--yes" in unasked.stderr) == (Exit.USAGE, True)
    done = reelmill(system, "jobs", "cancel", "--state", "scheduled", "--yes", "--json")
    assert done.returncode == Exit.OK, done.stderr
    assert json.loads(done.stdout)["result"]["cancelled"] == scheduled
    both = reelmill(system, "jobs", "retry", "some-id", "--state", "failed")
    neither = reelmill(system, "jobs", "retry")
    assert both.returncode == neither.returncode == Exit.USAGE
