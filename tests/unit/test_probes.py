"""Health over HTTP, for processes that have no other door."""

import socket
from collections.abc import Callable

import httpx
import psutil
import pytest

from infra import metrics
from infra.probes import Probes
from infra.settings import Settings
from tests.system import PATIENCE

Check = Callable[[], bool]


def probes(alive: Check, **checks: Check) -> Probes:
    settings = Settings.model_construct(metrics_host="127.0.0.1", metrics_port=0)
    return Probes(settings, alive, checks, lambda: {"role": "leader"})


def get(running: Probes, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{running.port}{path}", timeout=PATIENCE)


def fails() -> bool:
    raise RuntimeError("a check that breaks")


@pytest.mark.row("X-13")
def test_a_healthy_process() -> None:
    with probes(lambda: True, database=lambda: True) as running:
        answer = get(running, "/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "role": "leader"})
        answer = get(running, "/readyz")
        assert (answer.status_code, answer.json()["checks"]) == (200, {"database": True})


@pytest.mark.parametrize("broken", [lambda: False, fails])
def test_an_unhealthy_process(broken: Check) -> None:
    with probes(broken, database=lambda: True, broker=broken) as running:
        assert get(running, "/healthz").status_code == 503
        answer = get(running, "/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"database": True, "broker": False}


@pytest.mark.row("X-13")
def test_metrics_and_nothing_else() -> None:
    metrics.jobs_leases_expired_total.labels("queued").inc()
    with probes(lambda: True) as running:
        assert 'jobs_leases_expired_total{state="queued"}' in get(running, "/metrics").text
        assert get(running, "/").status_code == 404
        assert get(running, "/healthz/../etc").status_code == 404


def test_a_silent_peer_holds_up_nobody() -> None:
    with probes(lambda: True) as running, socket.create_connection(("127.0.0.1", running.port)):
        assert get(running, "/healthz").status_code == 200


def test_the_port_is_free_again_afterwards() -> None:
    with probes(lambda: True) as running:
        port = running.port
        assert port in listening()
    assert port not in listening()


def listening() -> set[int]:
    """The ports that this process listens on: somebody else may have one of them as soon as it is free."""
    found = psutil.Process().net_connections("tcp4")
    return {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}
