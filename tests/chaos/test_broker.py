"""The broker goes away while people ask for work: they are told 202, and everything runs when it is back."""

import pytest

from infra.stack import Stack
from tests.system import System, until


@pytest.mark.row("S1-07", "X-04")
def test_jobs_are_accepted_without_a_broker_and_run_afterwards(system: System, stack: Stack) -> None:
    system.start("gateway", "relay", "analyzer")
    file = system.upload(b"hello", "hello.txt")
    asked = [system.submit("analyze.sleep", {"file": file, "time": 0}) for _ in range(20)]
    stack.rabbitmqctl("stop_app")
    try:
        for _ in range(20):
            answer = system.http.post("/v1/jobs", json={"kind": "analyze.sleep", "params": {"file": file, "time": 0}})
            assert answer.status_code == 202
            asked.append(answer.json()["id"])
        until(lambda: system.http.get("/readyz").json()["checks"]["broker"] is False, "the gateway says so")
        until(lambda: system.http.get("/readyz").status_code == 200, "and is ready all the same")
    finally:
        stack.rabbitmqctl("start_app")
    for job_id in asked:
        job = system.until_state(job_id, "succeeded")
        assert job["attempt"] == 1
