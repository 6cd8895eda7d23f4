"""Servers that are not there yet, go away and come back: every process waits, says so, and goes on without a human."""

import httpx
import pytest
from sqlalchemy import Engine

from infra.stack import Stack
from tests.bucket import Bucket
from tests.integration.test_relay import probe
from tests.outage import cut_off, hang_up
from tests.system import System, until

PROCESSES = ("relay", "analyzer", "dispatcher")


def ready(system: System) -> bool:
    try:
        return system.http.get("/readyz").is_success and all(
            probe(system, name, "/readyz").is_success for name in PROCESSES
        )
    except httpx.TransportError:
        return False


def alive(system: System) -> None:
    for name in PROCESSES:
        assert system.processes[name].poll() is None, system.log(name)[-3000:]
        assert probe(system, name, "/healthz").is_success, name


def works(system: System) -> None:
    """Everything is used: the front door, the store, both lanes, the relay (which publishes what is scheduled)."""
    until(lambda: ready(system), "every process is ready")
    file = system.upload(b"hello")
    asked = [
        system.submit("analyze.sleep", {"file": file, "time": 0}),
        system.submit("probe.echo", {"text": "hello"}),
        system.submit("probe.echo", {"text": "later"}, after=[system.submit("probe.echo", {"text": "first"})]),
    ]
    for job_id in asked:
        assert system.until_state(job_id, "succeeded")["attempt"] == 1


@pytest.mark.row("S4-24")
def test_processes_start_before_their_servers(system: System, stack: Stack, admin: Engine, database: Engine) -> None:
    Bucket(system.environment).unmake()  # the first of them to come makes it
    stack.objects.kill()
    stack.rabbitmqctl("stop_app")
    try:
        with cut_off(admin, database):
            system.start("gateway", *PROCESSES)
            assert system.http.get("/readyz").status_code == 503
            for name in PROCESSES:
                assert probe(system, name, "/readyz").status_code == 503
            alive(system)
    finally:
        stack.rabbitmqctl("start_app")
        stack.objects.start()
    works(system)


@pytest.mark.row("S3-43", "S4-24", "X-09")
def test_servers_go_and_come_back_while_nothing_and_something_runs(
    system: System, stack: Stack, admin: Engine, database: Engine
) -> None:
    system.start("gateway", *PROCESSES, REELMILL_LEASE_SECONDS="60")
    works(system)
    running = system.submit("analyze.sleep", {"file": system.upload(b"hello"), "time": 3600})
    system.until_state(running, "running")
    with cut_off(admin, database):
        until(lambda: system.http.get("/readyz").status_code == 503, "the gateway notices")
        until(lambda: "beat.missed" in system.log("analyzer"), "the consumer notices")
        alive(system)
    stack.objects.kill()
    until(lambda: system.http.get("/readyz").status_code == 503, "the gateway notices")
    stack.objects.start()
    stack.rabbitmqctl("stop_app")
    until(lambda: not system.http.get("/readyz").json()["checks"]["broker"], "the gateway notices")
    alive(system)
    stack.rabbitmqctl("start_app")
    hang_up(admin, str(database.url.database))
    assert system.http.post(f"/v1/jobs/{running}/cancel").status_code in {202, 503}
    until(lambda: system.http.post(f"/v1/jobs/{running}/cancel").status_code in {202, 409}, "the cancel is accepted")
    assert system.until_state(running, "cancelled")["attempt"] == 1
    works(system)
