"""The download manager, as its README shows it, and what it never did: exact states, tokens, history, pages."""

import signal
import socket
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from infra import db, tokens
from infra.tokens import Role
from tests.furniture import handing_out
from tests.system import System, local_client, until

BASE = "/api/segments"
NEXT = "/api/download/next"
STATES = (None, "sent-to-worker", "started", "failed", "missing", "completed")
ODD = ('it\'s "odd"', "-dash", "a/b%2f", "<script>alert(1)</script>", "next", "ünï")


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay")
    handing_out(shared.http)
    return shared


def fill(system: System, collection: str, *keys: str, **rules: Any) -> None:
    system.http.put(f"/v1/collections/{collection}", json={"retry_seconds": 0} | rules)
    items = [{"key": key, "partition": "eval", "attributes": {"start_seconds": "30"}} for key in keys]
    assert system.http.post(f"/v1/collections/{collection}/items", json={"items": items}).is_success


def state(system: System, key: str, **query: str) -> str | None:
    answer = system.http.get(f"{BASE}/{quote(key, safe='')}", params=query)
    assert answer.status_code == 200, answer.text
    found: str | None = answer.json()["state"]
    return found


def set_state(system: System, key: str, wanted: str | None, **more: Any) -> httpx.Response:
    query = {"collection": more.pop("collection")} if "collection" in more else {}
    return system.http.put(f"/api/download/{quote(key, safe='')}", json={"state": wanted} | more, params=query)


def as_role(system: System, role: Role, name: str | None = None) -> httpx.Client:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        secret = tokens.create(connection, name or role.value, [role])
    engine.dispose()
    return local_client(system.url, secret)


@pytest.mark.row("S0-04", "S0-19")
def test_items_with_odd_names(running: System) -> None:
    fill(running, "odd", *ODD, "count")
    query = {"collection": "odd"}
    for key in (*ODD, "count"):
        page = running.http.get(f"/id/{quote(key, safe='')}", params=query)
        assert page.status_code == 200
        assert "<script>" not in page.text
    for key in ODD:  # `count` is a call of its own; its page is there
        shown = running.http.get(f"{BASE}/{quote(key, safe='')}", params=query).json()
        assert (shown["ytid"], shown["state"], shown["partition"]) == (key, None, "eval")
    for address in (f"{BASE}/nope", f"{BASE}/%27%20or%201=1"):
        answer = running.http.get(address, params=query)
        assert (answer.status_code, answer.json()["success"]) == (404, False)
        assert answer.json()["message"]
    for address in (f"{BASE}/next%0A", "/id/next%0A", f"{BASE}/ne%0Axt", f"{BASE}/count%0A", "/api/download/next%0A"):
        assert running.http.get(address, params=query).status_code == 404, address
    assert running.http.put("/api/download/next%0A", json={"state": "failed"}, params=query).status_code == 404
    assert state(running, "next", **query) is None
    strange = running.http.get("/id/<b>nope", params=query)
    assert strange.status_code == 404
    assert "<b>" not in strange.text


@pytest.mark.row("S0-05", "S0-09", "S0-10", "S0-14", "S0-19")
def test_the_calls_of_the_readme(running: System) -> None:
    http = running.http
    assert http.get(f"{BASE}/count").json()["count"] == 0
    assert http.get("/", headers={"Accept": "application/json"}).json()["count"] == 0
    assert http.get("/").status_code == 200
    assert http.post(NEXT).json()["success"] is False
    fill(running, "segments", *ODD)
    taken = http.get(NEXT)
    assert taken.headers["cache-control"] == "no-store"
    key = taken.json()["download_id"]
    assert (taken.json()["success"], taken.json()["start_seconds"]) == (True, "30")
    assert state(running, key) == "sent-to-worker"
    for method in ("HEAD", "OPTIONS"):
        http.request(method, NEXT)
    assert http.get(f"{BASE}/count", params={"state": "sent-to-worker"}).json()["count"] == 1
    assert set_state(running, key, "completed").json()["success"] is True
    for null in (None, "null", "None"):
        assert set_state(running, key, null).status_code == 200
    assert state(running, key) is None
    history = http.get(f"/id/{quote(key, safe='')}").text
    assert history.index("sent-to-worker</td><td>1") < history.index("<td>completed</td><td>null</td>")
    for query, expected in (
        ({}, 6),
        ({"state": "null"}, 6),
        ({"state": "None", "partition": "eval"}, 6),
        ({"state": "completed"}, 0),
        ({"state": "null", "partition": "nope"}, 0),
        ({"partition": "' or 1=1 --"}, 0),
    ):
        assert http.get(f"{BASE}/count", params=query).json()["count"] == expected, query
    for bad in ("odd", "' or '1'='1", "completed; drop table items"):
        assert http.get(f"{BASE}/count", params={"state": bad}).status_code == 400
    for _ in ODD:
        http.post(NEXT)
    empty = http.post(NEXT)
    assert (empty.status_code, empty.json()["success"]) == (200, False)
    assert int(empty.headers["retry-after"]) > 0


@pytest.mark.row("S0-13", "S0-17")
def test_the_whole_matrix(running: System) -> None:
    legal: dict[str | None, set[str | None]] = {
        None: {"failed", "missing", "completed"},
        "sent-to-worker": {None, "started", "failed", "missing", "completed"},
        "started": {None, "failed", "missing", "completed"},
        "failed": {None, "missing", "completed"},
        "missing": {None},
        "completed": {None},
    }
    fill(running, "matrix", *(f"{a}-{b}" for a in STATES for b in STATES), max_attempts=100)
    query = {"collection": "matrix"}
    for _ in range(36):
        assert running.http.post(NEXT, params=query).json()["success"]
    for before in STATES:
        for after in STATES:
            key = f"{before}-{after}"
            if before != "sent-to-worker":
                assert set_state(running, key, before, **query).status_code == 200
            expected = 200 if after == before or after in legal[before] else 409
            answers = [set_state(running, key, after, **query) for _ in range(2)]
            assert [a.status_code for a in answers] == [expected] * 2, (before, after, answers[0].text)
            assert state(running, key, **query) == (after if expected == 200 else before)
            moves = running.http.get(f"/v1/collections/matrix/items/{key}").json()["history"]
            assert len(moves) == 1 + (before != "sent-to-worker") + (after in legal[before])


@pytest.mark.row("S0-13", "S0-15")
def test_bad_updates_and_batches(running: System) -> None:
    fill(running, "batch", "a", "b", "c")
    query = {"collection": "batch"}
    bad: list[Any] = [{}, [], {"state": "odd"}, {"state": 1}, {"state": "failed", "x": 1}, {"State": "failed"}]
    for body in bad:
        answer = running.http.put("/api/download/a", json=body, params=query)
        assert (answer.status_code, answer.json()["success"]) == (400, False), body
    assert running.http.put("/api/download/a", content=b"state=failed", params=query).status_code == 400
    assert running.http.put("/api/download/nope", json={"state": "failed"}, params=query).status_code == 404
    set_state(running, "c", "missing", **query)
    mixed = {"state": "completed", "ytids": ["a", "a", "nope", "b", "c"]}
    told = running.http.post("/api/download/batch", json=mixed, params=query).json()
    assert (told["updated"], told["unknown"], [each["ytid"] for each in told["rejected"]]) == (2, ["nope"], ["c"])
    assert [state(running, key, **query) for key in "abc"] == ["completed", "completed", "missing"]
    bad = [{"state": "failed"}, {"ytids": ["a"]}, {"state": "failed", "ytids": [1]}, {"state": "x", "ytids": ["a"]}]
    for body in [*bad, {"state": "failed", "ytids": []}, {"state": "failed", "ytids": "a"}]:
        assert running.http.post("/api/download/batch", json=body, params=query).status_code == 400, body
    lone, long = {"state": "failed", "lease": "odd"}, "/api/download/" + "k" * 1025
    for method, address, body, more, field in (
        ("PUT", "/api/download/a", lone, {}, "lease"),
        ("PUT", "/api/download/a", {"state": "failed", "error": "\0"}, {}, "error"),
        ("PUT", long, {"state": "failed"}, {}, "key"),
        ("PUT", long, {"state": "failed", "lease": str(uuid.uuid4())}, {}, "key"),
        ("PUT", "/api/download/a", {"state": "failed"}, {"collection": "a b"}, "collection"),
        ("POST", NEXT, None, {"collection": "a b"}, "collection"),
        ("POST", NEXT, None, {"partition": "p" * 201}, "partition"),
        ("PUT", "/v1/collections/a%20b", {}, {}, "name"),
    ):
        answer = running.http.request(method, address, json=body, params=query | more)
        assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, [field]), answer.text
        assert answer.json()["detail"].startswith(f"Not valid: {field}. ")
    many = {"state": "completed", "ytids": [f"x{n}" for n in range(10_001)]}
    assert running.http.post("/api/download/batch", json=many, params=query).status_code == 413


@pytest.mark.row("S0-11", "S0-12", "S0-24")
def test_a_token_and_an_owner(running: System) -> None:
    fill(running, "owned", "only")
    query = {"collection": "owned"}
    with as_role(running, Role.WORKER, "a") as a, as_role(running, Role.WORKER, "b") as b:
        first = a.post(NEXT, params=query).json()
        assert (first["owner"], first["download_id"]) == ("a", "only")
        assert b.post(NEXT, params=query).json()["success"] is False
        assert b.put("/api/download/only", json={"state": "completed"}, params=query).status_code == 409
        released = running.http.post(f"/v1/collections/owned/leases/{first['lease']}/release")
        assert released.status_code == 404  # not the admin's
        assert a.post(f"/v1/collections/owned/leases/{first['lease']}/release").is_success
        second = b.post(NEXT, params=query).json()
        stale = a.put("/api/download/only", json={"state": "failed", "lease": first["lease"]}, params=query)
        assert (stale.status_code, stale.json()["code"]) == (409, "held_by_another")
        assert state(running, "only", **query) == "sent-to-worker"
        for lease, status in ((first["lease"], 409), (str(uuid.uuid4()), 409), ("odd", 400)):
            again = {"state": "sent-to-worker", "lease": lease}
            assert b.put("/api/download/only", json=again, params=query).status_code == status, lease
        for holder, lease, status in ((a, {"lease": second["lease"]}, 409), (a, {}, 409), (b, {}, 200)):
            again = {"state": "sent-to-worker"} | lease
            assert holder.put("/api/download/only", json=again, params=query).status_code == status, (lease, status)
        again = {"state": "sent-to-worker", "lease": second["lease"]}
        assert b.put("/api/download/only", json=again, params=query).json()["success"] is True
        done = b.put("/api/download/only", json={"state": "completed", "lease": second["lease"]}, params=query)
        assert done.json()["success"] is True
        for address in ("/v1/jobs", "/v1/collections/owned/items"):
            assert b.post(address, json={}).status_code == 403
    with as_role(running, Role.READER) as reader:
        assert reader.get(NEXT).status_code == 403
        assert reader.get(f"{BASE}/count").status_code == 200
    with local_client(running.url) as nobody:
        for address in ("/", NEXT, f"{BASE}/count", f"{BASE}/only", "/id/only"):
            assert nobody.get(address).status_code == 401


@pytest.mark.row("S0-12", "S0-20", "S0-21")
def test_what_expires_or_fails_comes_back_until_its_attempts_are_spent(running: System) -> None:
    fill(running, "short", "x", ttl=0.2, max_attempts=3)
    here, query = "/v1/collections/short", {"collection": "short"}
    taken = running.http.post(NEXT, params=query).json()
    assert taken["attempt"] == 1

    def again() -> dict[str, Any] | None:
        told: dict[str, Any] = running.http.post(NEXT, params=query).json()
        return told if told["success"] else None

    assert until(again, "it is offered again")["attempt"] == 2
    lasting = running.http.put(here, json={"retry_seconds": 0, "ttl": 600, "max_attempts": 3})
    assert lasting.is_success, lasting.text
    third = until(again, "and again")
    assert set_state(running, "x", "failed", error="gone dark", lease=third["lease"], **query).is_success
    assert again() is None
    [dead] = running.http.get(f"{here}/items", params={"state": "failed", "dead": "1"}).json()["items"]
    assert (dead["key"], dead["attempt"], dead["error"]) == ("x", 3, "gone dark")
    assert set_state(running, "x", None, **query).is_success
    fresh = until(again, "it begins anew")
    assert fresh["attempt"] == 1
    assert set_state(running, "x", "missing", error="private", **query).is_success
    assert again() is None
    assert running.http.get(f"{BASE}/x", params=query).json()["error"] == "private"


@pytest.mark.row("S0-06", "S0-07")
def test_counts_agree_while_many_work_and_any_item_may_be_next(running: System) -> None:
    keys = [f"k{n:05d}" for n in range(10_000)]
    for first in range(0, len(keys), 5000):
        fill(running, "churn", *keys[first : first + 5000])
    drawn: list[str] = []

    def work() -> None:
        with local_client(running.url, running.token) as http:
            for _ in range(10):
                lease = http.post("/v1/collections/churn/leases", json={"count": 5}).json()
                drawn.extend(item["key"] for item in lease["items"])
                http.post(f"/v1/collections/churn/leases/{lease['lease']}/submit", json={"completed": "all"})

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counts = running.http.get("/v1/collections/churn/counts").json()
        assert counts["total"] == sum(counts["by_state"].values()) == 10_000
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == len(drawn) == 1000
    tens = Counter(key[2:4] for key in drawn)  # a hundred buckets of a hundred keys, ten of each expected
    # The five of a lease come from one of two imports, so this scatters a little more than if each were drawn alone:
    # about 93 give or take 14, and more than 160 once in some thousand runs. Not at random it is above 900.
    assert sum((tens[f"{n:02d}"] - 10) ** 2 / 10 for n in range(100)) < 250


@pytest.mark.row("S0-17")
def test_the_same_thing_said_five_times_at_once_happens_once(running: System) -> None:
    fill(running, "again", "a", "b")
    with ThreadPoolExecutor(5) as five:
        answers = list(five.map(lambda _: set_state(running, "a", "completed", collection="again"), range(5)))
        key = {"Idempotency-Key": "once"}
        taken = list(
            five.map(lambda _: running.http.post("/v1/collections/again/leases", json={}, headers=key), range(5))
        )
    assert {answer.status_code for answer in answers} == {200}
    moves = running.http.get("/v1/collections/again/items/a").json()["history"]
    assert [(move["before"], move["state"]) for move in moves] == [("available", "completed")]
    leases = [answer.json() for answer in taken]
    assert len({lease["lease"] for lease in leases}) == 1
    assert {item["key"] for lease in leases for item in lease["items"]} == {"b"}
    assert len(running.http.get("/v1/collections/again/items/b").json()["history"]) == 1


@pytest.mark.row("S0-17")
def test_a_key_stands_for_one_request(running: System) -> None:
    fill(running, "keyed", "a", "b", "c")
    fill(running, "keyed-too", "a")
    query, batch = {"collection": "keyed"}, "/api/download/batch"

    def post(address: str, key: str, **given: Any) -> httpx.Response:
        return running.http.post(address, headers={"Idempotency-Key": key}, **given)

    with ThreadPoolExecutor(3) as three:
        taken = list(three.map(lambda _: post(NEXT, "take", params=query).json(), range(3)))
    [(key, _)] = {(told["download_id"], told["lease"]) for told in taken}
    assert running.http.get(f"{BASE}/count", params=query | {"state": "sent-to-worker"}).json()["count"] == 1
    [other, another] = sorted({"a", "b", "c"} - {key})
    said = {"state": "completed", "ytids": [other]}
    for _ in range(2):
        assert post(batch, "say", json=said, params=query).status_code == 200
    for address, name, given in (
        (NEXT, "take", {"params": query | {"worker": "w"}}),
        (NEXT, "take", {"params": query | {"partition": "eval"}}),
        (NEXT, "take", {"params": {"collection": "keyed-too"}}),
        (NEXT, "say", {"params": query}),
        (batch, "say", {"params": query, "json": said | {"ytids": [another]}}),
        (batch, "say", {"params": query, "json": said | {"state": "failed"}}),
        (batch, "say", {"params": {"collection": "keyed-too"}, "json": said}),
        (batch, "take", {"params": query, "json": said}),
    ):
        answer = post(address, name, **given)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused"), (address, given)
    assert {key: state(running, key, **query) for key in (other, another)} == {other: "completed", another: None}
    assert post(NEXT, "", params=query).status_code == 400


@pytest.mark.row("S0-11", "S0-20")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_whoever_hangs_up_while_he_waits_takes_nothing(running: System, method: str) -> None:
    name = f"hung-up-{method.lower()}"
    fill(running, name, "a")
    head = f"{method} {NEXT}?collection={name}&worker=gone HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n"
    running.signal("dispatcher", signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", running.port)) as caller:
        caller.sendall(f"{head}authorization: Bearer {running.token}\r\n\r\n".encode())
    running.http.get("/healthz")  # by then the gateway has seen it go
    running.signal("dispatcher", signal.SIGCONT)

    def returned() -> bool:
        board = running.http.get(f"/v1/collections/{name}/leaderboard").json()["workers"]
        return any((each["worker"], each["returned"]) == ("gone", 1) for each in board)

    until(returned, "what nobody has heard of is back")
    item = running.http.get(f"/v1/collections/{name}/items/a").json()
    assert (item["state"], item["attempt"]) == ("available", 0)
    taken = running.http.post(NEXT, params={"collection": name}).json()
    assert (taken["download_id"], taken["attempt"]) == ("a", 1)


@pytest.mark.row("S0-18")
def test_the_index(running: System) -> None:
    fill(running, "shown", *(f"k{n:02d}" for n in range(45)))
    page = running.http.get("/", params={"collection": "shown"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.count('href="/id/') == 20
    assert (page.text.count("null</span>"), page.text.count("available</span>")) == (21, 0)  # the count says it, too
    one = running.http.get("/id/k00", params={"collection": "shown"})
    assert (one.text.count("null</span>"), one.text.count("available</span>")) == (1, 0)
    for accept in ("text/html", "application/json"):
        unknown = running.http.get("/", params={"collection": "typo"}, headers={"Accept": accept})
        assert (unknown.status_code, accept in unknown.headers["content-type"]) == (404, accept == "text/html")
    assert unknown.json()["code"] == "unknown_collection"
    seen: list[str] = []
    query = {"collection": "shown"}
    while True:
        told = running.http.get("/", params=query, headers={"Accept": "application/json"}).json()
        seen += [item["ytid"] for item in told["items"]]
        if told["next"] is None:
            break
        query |= {"cursor": told["next"]}
    assert (told["count"], told["counts"]["null"], sorted(seen)) == (45, 45, [f"k{n:02d}" for n in range(45)])
