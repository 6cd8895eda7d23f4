"""Items under lease from outside: through HTTP and over AMQP, with callers, dispatchers and relays that die."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pika
import pytest
from sqlalchemy import text

from infra import collections, db
from infra.leasing.collection import enter
from schemas.bundles import BUNDLE, answers_of, bundled
from tests.broker import parameters
from tests.furniture import handing_out
from tests.system import System, local_client, until

ITEMS = 5000
CLIENTS = 50


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "dispatcher", "relay")
    handing_out(shared.http)
    return shared


def new_collection(system: System, items: int, **rules: Any) -> str:
    """A collection with items k0, k1, ...; returns its address."""
    here = f"/v1/collections/c-{uuid.uuid4().hex[:8]}"
    made = system.http.put(here, json=rules)
    assert made.status_code == 201, made.text
    for first in range(0, items, 5000):
        some = [{"key": f"k{n}", "attributes": {"n": n}} for n in range(first, min(first + 5000, items))]
        added = system.http.post(f"{here}/items", json={"items": some})
        assert added.json()["inserted"] == len(some), added.text
    return here


def by_state(system: System, here: str) -> dict[str, int]:
    counts = system.http.get(f"{here}/counts").json()
    assert counts["total"] == sum(counts["by_state"].values())
    return {state: n for state, n in counts["by_state"].items() if n}


def deliveries(asking: Any, queue: str, number: int) -> list[tuple[int, dict[str, Any]]]:
    """So many items out of a collection's queue: their tags and what they say."""

    def next_one() -> tuple[int, dict[str, Any]] | None:
        method, _, body = asking.basic_get(queue)
        return (method.delivery_tag, orjson.loads(body)) if method is not None else None

    return [until(next_one, "an item in the queue") for _ in range(number)]


@contextmanager
def channel(system: System) -> Iterator[Any]:
    connection = pika.BlockingConnection(parameters(system.environment["REELMILL_AMQP_URL"]))
    try:
        yield connection.channel()
    finally:
        connection.close()


class Client(threading.Thread):
    """Takes items and submits them until nothing is left; every tenth one drops its lease and goes on without it."""

    def __init__(self, system: System, here: str, number: int) -> None:
        super().__init__()
        self.number = number
        self.here = here
        self.http = local_client(system.url, system.token)
        self.done: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while self.turn():
                pass
        except BaseException as error:
            self.error = error
        finally:
            self.http.close()

    def turn(self) -> bool:
        lease = self.patiently("leases", {"count": 20, "ttl": 1.5, "worker": f"w{self.number}"})
        if lease["items"] and self.number % 10 == 0:
            self.number += 1  # this one has died; somebody else goes on in its place
            return True
        if lease["items"]:
            results = [{"key": item["key"], "state": "completed"} for item in lease["items"]]
            told = self.patiently(f"leases/{lease['lease']}/submit", {"results": results})
            self.done += [each["key"] for each in told["results"] if each["outcome"] == "done"]
            return True
        states = self.http.get(f"{self.here}/counts").json()["by_state"]
        return bool(states["completed"] != ITEMS)

    def patiently(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask until there is an answer, as a worker does: with the same key, so that it gets one lease."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        while True:
            answer = self.http.post(f"{self.here}/{what}", json=body, headers=key)
            if answer.status_code == 503:
                assert "retry-after" in answer.headers
                continue
            document = dict(answer.json())
            assert answer.status_code in {200, 409}, answer.text
            return document


@pytest.mark.row("S0-07", "S0-08", "S0-12")
def test_fifty_clients_and_a_dispatcher_that_dies(running: System) -> None:
    here = new_collection(running, ITEMS, max_attempts=100)
    clients = [Client(running, here, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    until(lambda: by_state(running, here).get("completed", 0) > 1000, "a part is done")
    running.kill("dispatcher")
    running.start("dispatcher")
    running.start("dispatcher.2")
    for client in clients:
        client.join()
    assert [client.error for client in clients if client.error] == []
    assert by_state(running, here) == {"completed": ITEMS}
    # A submit whose answer was lost with the dispatcher is told as unchanged when it is repeated: done, but by nobody
    # here. Never twice.
    told = Counter(key for client in clients for key in client.done)
    assert max(told.values()) == 1
    assert audit(running, here) == []
    board = running.http.get(f"{here}/leaderboard").json()["workers"]
    assert sum(each["completed"] for each in board) == ITEMS
    running.stop_one("dispatcher.2")


def audit(system: System, here: str) -> list[Any]:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.connect() as connection:
        found = list(collections.overlaps(connection, here.rpartition("/")[2]))
    engine.dispose()
    return found


@pytest.mark.row("S0-02", "S0-10", "S0-23")
def test_take_extend_release_submit(running: System) -> None:
    here, other = new_collection(running, 3), new_collection(running, 3)
    lease = running.http.post(f"{here}/leases", json={"count": 2, "worker": "w", "ttl": 60}).json()
    assert {item["attributes"]["n"] for item in lease["items"]} == {int(i["key"][1:]) for i in lease["items"]}
    assert by_state(running, here) == {"available": 1, "leased": 2}
    assert by_state(running, other) == {"available": 3}
    at = f"{here}/leases/{lease['lease']}"
    extended = running.http.post(f"{at}/extend", json={"ttl": 3000}).json()
    assert extended.keys() == {"lease", "open", "expires_at"}, extended
    assert extended["expires_at"] > lease["expires_at"]
    first, second = (item["key"] for item in lease["items"])
    given = running.http.post(f"{at}/release", json={"keys": [first]}).json()
    assert (given["done"], given["open"]) == (1, 1)
    again = running.http.post(f"{here}/leases", json={"count": 5}).json()
    assert first in {item["key"] for item in again["items"]}
    stale = running.http.post(f"{at}/submit", json={"results": [{"key": first, "state": "completed"}]})
    assert (stale.status_code, stale.json()["code"]) == (409, "held_by_another")
    done = running.http.post(f"{at}/submit", json={"completed": "all", "next": {"count": 1}}).json()
    assert (done["done"], done["open"], done["next"]["items"]) == (1, 0, [])
    assert done["next"]["retry_seconds"] > 0
    item = running.http.get(f"{here}/items/{second}").json()
    assert [(move["before"], move["state"], move["by"]) for move in item["history"]] == [
        ("available", "leased", "w"),
        ("leased", "completed", "w"),
    ]
    over = running.http.post(f"{at}/extend")
    assert (over.status_code, over.json()["code"]) == (409, "lease_ended")


def test_what_is_wrong_is_said(running: System) -> None:
    here = new_collection(running, 3)
    nul = {"a": [{"b\0": 1}]}
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    for path, body, status, code in (
        (f"{here}/leases", {"count": 0}, 400, "invalid_parameter"),
        (f"{here}/leases", {"count": 1.5}, 400, "invalid_parameter"),
        (f"{here}/leases", {"ttl": -1}, 400, "invalid_parameter"),
        (f"{here}/leases", [], 400, "invalid_parameter"),
        (f"{here}x/leases", {}, 404, "unknown_collection"),
        (f"{here}/leases/{uuid.uuid4()}/extend", {}, 404, "unknown_lease"),
        (f"{here}/leases/x/extend", {}, 404, "unknown_lease"),
        (f"{here}/leases/{uuid.uuid4()}/submit", {}, 400, "invalid_parameter"),
        (f"{here}/items", {"items": [{"key": ""}]}, 400, "invalid_parameter"),
        (f"{here}/items", {"items": [{"key": " \t"}]}, 400, "invalid_parameter"),
        (f"{here}/items", {"items": [{"key": "é" * 600}]}, 400, "invalid_parameter"),
        (f"{here}/items", {"items": [{"key": "deep", "attributes": deep}]}, 400, "invalid_parameter"),
        (f"{here}/moves", {"moves": [{"key": "k0", "state": "failed", "result": deep}]}, 400, "invalid_parameter"),
        (f"{here}/moves", {"moves": [{"key": "k0", "state": "failed", "result": nul}]}, 400, "invalid_parameter"),
        (f"{here}/moves", {"moves": [{"key": "k0", "state": "odd"}]}, 400, "invalid_parameter"),
    ):
        answer = running.http.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (path, body, answer.text)
    assert running.http.put(here, json={"ordering": "arrival"}).status_code == 409
    assert running.http.put("/v1/collections/-odd", json={}).status_code == 400
    assert running.http.get(f"{here}/counts", params={"state": "odd"}).status_code == 400
    assert by_state(running, here) == {"available": 3}


def test_straight_over_amqp(running: System) -> None:
    here = new_collection(running, 3)
    with channel(running) as asking:
        answers: list[tuple[str, bytes]] = []
        asking.basic_consume(
            "amq.rabbitmq.reply-to",
            lambda _, __, properties, body: answers.append((properties.type, body)),
            auto_ack=True,
        )

        def send(body: bytes, content_type: str | None = None) -> tuple[str, bytes]:
            properties = pika.BasicProperties(
                reply_to="amq.rabbitmq.reply-to", correlation_id="1", content_type=content_type
            )
            asking.basic_publish("", "reelmill.leases", body, properties)
            until(lambda: asking.connection.process_data_events(0) or answers, "an answer")
            return answers.pop()

        def ask(body: bytes) -> tuple[str, dict[str, Any]]:
            status, told = send(body)
            return status, orjson.loads(told)

        name = here.rpartition("/")[2]
        status, lease = ask(orjson.dumps({"op": "acquire", "collection": name, "count": 2, "worker": "rust"}))
        assert (status, len(lease["items"])) == ("200", 2)
        order = {"op": "submit", "collection": name, "lease": lease["lease"], "completed": "all"}
        assert ask(orjson.dumps(order))[1]["done"] == 2
        assert ask(b"{")[0] == "400"
        assert ask(b'{"op": "steal"}')[1]["code"] == "invalid_parameter"
        assert ask(b'{"op": ["acquire"], "collection": {}}')[1]["code"] == "invalid_parameter"
        # Several at once, as gateways ask: each has its own answer, and a bad one spoils no other.
        extend = {"op": "extend", "collection": name, "lease": lease["lease"]}
        status, reply = send(bundled([b"{", orjson.dumps(extend), b'{"op": "acquire", "collection": "none"}']), BUNDLE)
        told = [(each, orjson.loads(body)["code"]) for each, body in answers_of(reply)]
        assert (status, told) == ("200", [(400, "bad_json"), (409, "lease_ended"), (404, "unknown_collection")])
    [worker] = running.http.get(f"{here}/leaderboard").json()["workers"]
    assert (worker["worker"], worker["taken"], worker["completed"]) == ("rust", 2, 2)
    moves = running.http.get(f"{here}/items/{lease['items'][0]['key']}").json()["history"]
    # He called himself so; whose lease it was tells which user of the broker he is.
    assert {(move["by"], move["owner"]) for move in moves} == {("rust", "amqp:producer")}


@pytest.mark.row("S0-22")
def test_items_out_of_a_queue(running: System) -> None:
    here = new_collection(running, 3, max_attempts=5)
    name = here.rpartition("/")[2]
    queue = f"reelmill.items.{name}"
    assert running.http.put(here, json={"push": 2, "max_attempts": 5}).json()["push"] == 2
    until(lambda: by_state(running, here) == {"available": 1, "leased": 2}, "two items are in the queue")
    with channel(running) as asking:
        # Nobody has acknowledged them when the channel closes: each comes again once, as the next attempt.
        lost = [told for _, told in deliveries(asking, queue, 2)]
    assert [[item["attempt"] for item in told["items"]] for told in lost] == [[1], [1]]
    with channel(running) as asking:
        again = deliveries(asking, queue, 2)
        items = [told["items"][0] for _, told in again]
        assert {(item["key"], item["attempt"]) for item in items} == {(told["items"][0]["key"], 2) for told in lost}
        assert asking.basic_get(queue)[0] is None
        for tag, told in again:
            order = {"op": "submit", "collection": name, "lease": told["lease"], "completed": "all"}
            asking.basic_publish("", "reelmill.leases", orjson.dumps(order))
            asking.basic_ack(tag)
        [(tag, third)] = deliveries(asking, queue, 1)
        assert third["items"][0]["attempt"] == 1
        until(lambda: by_state(running, here) == {"completed": 2, "leased": 1}, "two are done")
        # The same rules as for whoever asks: the lease can be extended and submitted by any door, and only once.
        at = f"{here}/leases/{third['lease']}"
        assert running.http.post(f"{at}/extend", json={}).is_success
        assert running.http.post(f"{at}/submit", json={"completed": "all"}).json()["done"] == 1
        assert running.http.post(f"{at}/submit", json={"completed": "all"}).json()["code"] == "lease_ended"
        stale = f"{here}/leases/{lost[0]['lease']}"
        assert running.http.post(f"{stale}/submit", json={"completed": "all"}).status_code == 409
        asking.basic_ack(tag)
    assert by_state(running, here) == {"completed": 3}
    assert audit(running, here) == []


@pytest.fixture
def hasty(running: System) -> Iterator[None]:
    """With a gateway that waits for the dispatcher only briefly."""
    running.stop_one("gateway")
    running.start("gateway", REELMILL_LEASE_WAIT_SECONDS="2")
    handing_out(running.http)
    yield
    running.stop_one("gateway")
    running.start("gateway")
    handing_out(running.http)  # as the tests behind this one expect it


@pytest.mark.usefixtures("hasty")
def test_nothing_stays_leased_to_somebody_who_has_gone(running: System) -> None:
    here = new_collection(running, 10)
    running.stop_one("dispatcher")
    name = here.rpartition("/")[2]
    with channel(running) as asking:
        asking.confirm_delivery()  # what is not, a quorum queue may drop when its channel closes
        asking.basic_consume("amq.rabbitmq.reply-to", lambda *_: None, auto_ack=True)
        for number in range(3):
            asking.basic_publish(
                "",
                "reelmill.leases",
                orjson.dumps({"op": "acquire", "collection": name, "count": 2}),
                pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id=str(number)),
            )
        asking.basic_publish("", "reelmill.leases", orjson.dumps({"op": "acquire", "collection": name, "count": 1}))
    away = running.http.post(f"{here}/leases", json={"count": 3})
    assert (away.status_code, away.json()["code"]) == (503, "dispatcher_unavailable")
    assert "retry-after" in away.headers
    running.start("dispatcher")
    until(lambda: running.http.post(f"{here}/leases", json={"count": 1}).is_success, "there is a dispatcher again")

    def settled() -> bool:
        board = running.http.get(f"{here}/leaderboard").json()["workers"]
        # At least those seven: a call may have been answered too late for its caller, on a busy machine.
        return any(w["worker"] == "worker" and w["returned"] >= 7 and w["taken"] - w["returned"] == 1 for w in board)

    until(settled, "what nobody has heard of is back")
    assert by_state(running, here) == {"available": 9, "leased": 1}


def test_who_keeps_a_collection_holds_up_no_other(running: System) -> None:
    kept, free = new_collection(running, 3), new_collection(running, 3)
    engine = db.connect(running.environment["REELMILL_DATABASE_URL"], pool=2, idle_seconds=3600)
    waits = text("select count(*) from pg_locks where locktype = 'advisory' and not granted")
    with engine.begin() as connection:
        enter(connection, [kept.rpartition("/")[2]])
        refused: list[Any] = []
        asking = threading.Thread(target=lambda: refused.append(running.http.post(f"{kept}/leases", json={})))
        asking.start()
        with engine.connect() as watching:
            until(lambda: refused or watching.execute(waits).scalar_one(), "it waits for the collection")
        for _ in range(3):
            assert len(running.http.post(f"{free}/leases", json={"count": 1}).json()["items"]) == 1
        asking.join()
        for answer in (refused[0], running.http.post(f"{kept}/leases", json={})):
            assert (answer.status_code, answer.json()["code"]) == (503, "collection_busy"), answer.text
            assert "retry-after" in answer.headers
    engine.dispose()
    until(lambda: running.http.post(f"{kept}/leases", json={"count": 3}).is_success, "it is free again")
    # What is said without waiting for an answer is not lost.
    engine = db.connect(running.environment["REELMILL_DATABASE_URL"], pool=1, idle_seconds=3600)
    name = free.rpartition("/")[2]
    with channel(running) as asking:
        asking.confirm_delivery()
        with engine.begin() as connection:
            enter(connection, [name])
            order = {"op": "move", "collection": name, "moves": [{"key": "k0", "state": "completed"}], "override": True}
            asking.basic_publish("", "reelmill.leases", orjson.dumps(order))
            until(lambda: "questions put off" in running.log("dispatcher"), "it cannot be done yet")
    until(lambda: by_state(running, free).get("completed") == 1, "it is done")
    engine.dispose()
    # Whoever adds a few items waits for a moment only, too.
    engine = db.connect(running.environment["REELMILL_DATABASE_URL"], pool=1, idle_seconds=3600)
    with engine.begin() as connection:
        enter(connection, [kept.rpartition("/")[2]])
        answer = running.http.post(f"{kept}/items", json={"items": [{"key": "one more"}]})
        assert (answer.status_code, answer.json()["code"]) == (503, "busy"), answer.text
    assert running.http.post(f"{kept}/items", json={"items": [{"key": "one more"}]}).json()["inserted"] == 1
    engine.dispose()
