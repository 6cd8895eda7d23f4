"""`/readyz?deep=1`: the system does a job to see whether jobs get done."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.system import System


def ask(system: System) -> httpx.Response:
    return system.http.get("/readyz", params={"deep": 1})


def asked_for(system: System) -> list[str]:
    """The states of all jobs so far."""
    answer = system.http.get("/v1/jobs", params={"kind": "probe.echo"})
    return [job["state"] for job in answer.json()["jobs"]]


@pytest.mark.row("X-13")
def test_a_job_is_done_to_see_whether_jobs_get_done(system: System) -> None:
    system.start("gateway", "relay", "dispatcher")
    stranger = httpx.get(f"{system.url}/readyz?deep=1")
    assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthenticated")
    assert "jobs" not in httpx.get(f"{system.url}/readyz?deep=0").json()["checks"]
    first = system.submit("probe.echo", {"text": "The test waits for the dispatcher as long as it takes."})
    system.until_state(first, "succeeded")
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: ask(system), range(8)))
    assert [(a.status_code, a.json()["checks"]["jobs"]) for a in answers] == [(200, True)] * 8
    assert set(asked_for(system)) == {"succeeded"}
    assert len(asked_for(system)) - 1 < 8, "who asks meanwhile shares the answer"


@pytest.mark.row("X-13")
def test_it_is_not_ready_while_nobody_does_jobs(system: System) -> None:
    system.start("gateway")
    answer = ask(system)
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["checks"] == {"database": True, "storage": True, "broker": True, "jobs": False}
    assert asked_for(system) == ["cancelled"], "and nothing piles up"
