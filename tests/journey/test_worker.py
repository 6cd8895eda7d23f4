"""The worker library: what it holds, what it loses, and what it gives back."""

from typing import Any

import httpx
import pytest

from infra.worker import Lost, Terms, Worker
from tests.furniture import handing_out
from tests.journey.test_leases import by_state, new_collection
from tests.system import System, until


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay")
    handing_out(shared.http)
    return shared


def test_a_worker_keeps_what_it_has_in_hand_and_no_more(running: System) -> None:
    here = new_collection(running, 3)
    with Worker(running.url, running.token, here.rpartition("/")[2], "w", Terms(ttl=60)) as worker:
        items = iter(worker)
        next(items)  # which it never reports
        worker.report(next(items), "completed")
        assert by_state(running, here) == {"available": 2, "completed": 1}
    with Worker(running.url, running.token, here.rpartition("/")[2], "w", Terms(ttl=30)) as worker:
        item = next(iter(worker))
        worker.stop()
        at = f"{here}/items/{item['key']}"
        first = running.http.get(at).json()["expires_at"]
        until(lambda: running.http.get(at).json()["expires_at"] > first, "it is kept alive")
        worker.report(item, "completed")
        assert list(worker) == []
    assert by_state(running, here) == {"available": 1, "completed": 2}


def test_a_worker_that_is_interrupted_as_its_answer_comes_gives_it_back(
    running: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = new_collection(running, 3)
    ask = httpx.Client.post

    def interrupted(*given: Any, **more: Any) -> httpx.Response:
        monkeypatch.setattr(httpx.Client, "post", ask)
        assert ask(*given, **more).json()["items"]
        raise KeyboardInterrupt

    monkeypatch.setattr(httpx.Client, "post", interrupted)
    worker = Worker(running.url, running.token, here.rpartition("/")[2], "w", Terms(batch=2))
    with pytest.raises(KeyboardInterrupt), worker:
        next(iter(worker))
    assert by_state(running, here) == {"available": 3}


@pytest.mark.row("S0-12")
def test_a_worker_that_asks_too_often_waits_as_long_as_it_is_told(
    running: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = new_collection(running, 1)
    ask = httpx.Client.post
    refused: list[str] = []

    def often(self: httpx.Client, url: str, **more: Any) -> httpx.Response:
        what = url.rpartition("/")[2]
        if what in refused:
            return ask(self, url, **more)
        refused.append(what)
        return httpx.Response(429, headers={"Retry-After": "0"}, request=httpx.Request("POST", url))

    with Worker(running.url, running.token, here.rpartition("/")[2], "w") as worker:
        monkeypatch.setattr(httpx.Client, "post", often)
        for item in worker:
            worker.report(item, "completed")
    assert refused == ["leases", "submit"]
    assert by_state(running, here) == {"completed": 1}


@pytest.mark.row("S0-11", "S0-12")
def test_a_worker_whose_lease_is_over_leaves_the_rest_of_it_alone(
    running: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = new_collection(running, 3)
    ask = httpx.Client.post
    asked: list[int] = []

    def counted(self: httpx.Client, url: str, **more: Any) -> httpx.Response:
        answer = ask(self, url, **more)
        if url.endswith("/extend"):
            asked.append(answer.status_code)
        return answer

    monkeypatch.setattr(httpx.Client, "post", counted)
    with Worker(running.url, running.token, here.rpartition("/")[2], "w", Terms(batch=3, ttl=3)) as worker:
        items = iter(worker)
        first = next(items)
        until(lambda: running.http.post(f"{here}/release", json={"older_than": 0}).is_success, "it is given back")
        other = {"count": 3, "worker": "other"}
        until(lambda: running.http.post(f"{here}/leases", json=other).json().get("items"), "somebody else has them")
        until(lambda: asked.count(409) > 1, "the worker has heard of it, and goes on")
        with pytest.raises(Lost):
            worker.report(first, "completed")
        assert list(items) == []
    assert by_state(running, here) == {"leased": 3}


def test_a_worker_whose_lease_others_have_emptied_takes_another(running: System) -> None:
    here = new_collection(running, 3)
    with Worker(running.url, running.token, here.rpartition("/")[2], "w", Terms(batch=3, ttl=600)) as worker:
        items = iter(worker)
        first, *others = next(items), *(f"k{n}" for n in range(3))
        moves = [{"key": key, "state": "missing"} for key in others if key != first["key"]]
        assert running.http.post(f"{here}/moves", json={"moves": moves}).json()["updated"] == 2
        worker.report(first, "completed")
        assert list(items) == []
    assert by_state(running, here) == {"completed": 1, "missing": 2}
