"""`/readyz?deep=1`: the system does a job to see whether jobs get done."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.system import System, local_client, until


def ask(system: System) -> httpx.Response:
    return system.http.get("/readyz", params={"deep": 1})


def asked_for(system: System) -> dict[str, str]:
    """The states of all jobs so far, by their ids."""
    answer = system.http.get("/v1/jobs", params={"kind": "probe.echo", "limit": 1000})
    return {job["id"]: job["state"] for job in answer.json()["jobs"]}


@pytest.mark.row("X-13")
def test_a_job_is_done_to_see_whether_jobs_get_done(system: System) -> None:
    system.start("gateway", "relay", "dispatcher")
    with local_client(system.url) as nobody:
        stranger = nobody.get("/readyz?deep=1")
        assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthenticated")
        assert "jobs" not in nobody.get("/readyz?deep=0").json()["checks"]
    first = system.submit("probe.echo", {"text": "The test waits for the dispatcher as long as it takes."})
    system.until_state(first, "succeeded")

    def well() -> list[str] | None:
        """The states of the jobs that eight callers took, when all of them heard that jobs get done."""
        before = asked_for(system)
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda _: ask(system), range(8)))
        told = [(answer.status_code, answer.json()["checks"].get("jobs")) for answer in answers]
        made = [state for job, state in asked_for(system).items() if job not in before]
        # On a busy machine a job may take too long, and callers who come one by one share nothing: then once more.
        return made if told == [(200, True)] * 8 and len(made) < 8 else None

    states = until(well, "jobs get done, and who asks meanwhile shares the answer")
    assert set(states) == {"succeeded"}


@pytest.mark.row("X-13")
def test_it_is_not_ready_while_nobody_does_jobs(system: System) -> None:
    system.start("gateway")
    until(lambda: system.http.get("/readyz").json()["checks"]["broker"], "the gateway reaches the broker")

    def told() -> dict[str, bool] | None:
        answer = ask(system)
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
        checks: dict[str, bool] = answer.json()["checks"]
        # A database or a store that takes its time on a busy machine counts as away; then no job is asked for.
        return checks if checks["database"] and checks["storage"] and checks["broker"] else None

    checks = until(told, "all else is well")
    assert checks == {"database": True, "storage": True, "broker": True, "jobs": False}
    assert set(asked_for(system).values()) == {"cancelled"}, "and nothing piles up"
