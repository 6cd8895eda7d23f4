"""Items and fetch tasks while clients, gateway, dispatcher and database die: nobody holds what another has."""

import random
import threading
import uuid
from collections import Counter
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from infra import collections, db, fetch_tasks
from infra.stack import Stack
from tests.system import System, until

ALBUMS = 150
CLIENTS = 6
HOSTS = ("one.example", "two.example")
TTL = 1.0
NAMES = ("gateway", "dispatcher", "relay")
STEAL = text(
    "update fetch_tasks set state = 'leased', location = null, lease_id = gen_random_uuid(), leased_at = now(), "
    "ttl_seconds = 1, expires_at = now() + interval '1 hour' where id = :id"
)


class Client(threading.Thread):
    """Looks for albums and fetches what was found. It dies now and then, in the middle of a request or with a lease."""

    def __init__(self, system: System, number: int) -> None:
        super().__init__(daemon=True)
        self._dice = random.Random(number)
        self._system = system
        self.name = f"client-{number}"
        self.lives = 0
        self.filled: list[int] = []
        self.error: BaseException | None = None
        self.over = threading.Event()

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self._live()
        except BaseException as error:
            self.error = error

    def _live(self) -> None:
        """From its birth to its death. What it was about to do nobody knows."""
        self.lives += 1
        impatience = self._dice.choice([30, 30, 0.02])
        headers = self._system.http.headers
        # Without certificates, which take longer to read than the rest of such a life.
        with httpx.Client(base_url=self._system.url, headers=headers, timeout=impatience, verify=False) as http:
            try:
                while not self.over.is_set() and self._dice.random() > 0.1:
                    self._search(http)
                    self._fetch(http, self._dice.choice(HOSTS))
            except httpx.TransportError:
                self.over.wait(0.2)

    def _search(self, http: httpx.Client) -> None:
        albums = self._ask(http, "/metadata/5", None).get("albums", ())
        seen = {str(album["id"]): self._candidates(album["id"]) for album in albums}
        if seen and self._dice.random() > 0.2:
            self._ask(http, "/metadata/submit", seen)

    def _candidates(self, number: int) -> list[dict[str, Any]]:
        """Three albums may be the same torrent; now and then nothing is found."""
        if self._dice.random() < 0.2:
            return []
        return [{"site": host, "torrentId": number // 3} for host in HOSTS[: self._dice.choice([1, 2])]]

    def _fetch(self, http: httpx.Client, host: str) -> None:
        lease = self._ask(http, "/v1/fetch-leases", {"host": host, "count": 4, "ttl": TTL, "worker": self.name})
        tasks = lease.get("tasks", ())
        if not tasks or self._dice.random() < 0.2:
            return
        filled = [{"task": task["id"], "location": f"/{uuid.uuid4()}"} for task in tasks]
        told = self._ask(http, "/v1/fetch-reports", {"filled": filled, "lease": lease["lease"]})
        self.filled += [each["task"] for each in told.get("results", ()) if each["outcome"] == "done"]

    def _ask(self, http: httpx.Client, path: str, body: Any) -> dict[str, Any]:
        """The answer; nothing when there is none, or it is too late."""
        answer = http.post(path, json=body)
        assert answer.status_code in {200, 409, 503}, answer.text
        return dict(answer.json()) if answer.is_success else {}


def prepare(system: System) -> None:
    rules = {"ordering": "arrival", "ttl": TTL, "retry_seconds": 0, "max_attempts": 1000}
    assert system.http.put("/v1/collections/albums", json=rules).status_code == 201
    items = [{"key": f"album {n}\x1fartist"} for n in range(ALBUMS)]
    assert system.http.post("/v1/collections/albums/items", json={"items": items}).is_success


def progress(system: System) -> tuple[int, int, int]:
    """Albums that are found, tasks that are filled, tasks; nothing while nobody answers."""
    try:
        answer = system.http.get("/v1/fetch-stats")
    except httpx.TransportError:
        return 0, 0, 1
    if not answer.is_success:
        return 0, 0, 1
    told = answer.json()
    return told["by_state"]["completed"], told["filled"], told["tasks"]


def found(system: System, albums: int) -> bool:
    return progress(system)[0] >= albums


def strike(stack: Stack, admin: Engine, system: System) -> None:
    """One after the other, each when some work has been done since the blow before."""
    for part, name in enumerate(("dispatcher", "postgres", "gateway", "dispatcher"), 1):
        until(partial(found, system, ALBUMS * part // 6), f"there is some progress before {name} dies")
        if name == "postgres":
            stack.postgres.kill()
            stack.postgres.start()
            admin.dispose()  # the tests' own connections are gone, too
        else:
            system.kill(name)
            system.start(name)


@pytest.mark.row("S2-24", "S2-08", "S2-22")
def test_nobody_holds_what_another_has(stack: Stack, admin: Engine, system: System) -> None:
    system.start(*NAMES, REELMILL_LEASE_WAIT_SECONDS="2")
    prepare(system)
    clients = [Client(system, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    strike(stack, admin, system)
    until(lambda: over(*progress(system)), "everything is found and fetched", patience=120)
    for client in clients:
        client.over.set()
    for client in clients:
        client.join()
    assert [client.error for client in clients if client.error] == []
    assert sum(client.lives for client in clients) > 2 * CLIENTS, "some of them died"
    twice = Counter(task for client in clients for task in client.filled)
    assert max(twice.values()) == 1, "no task was done twice"
    look(system)


def over(albums: int, filled: int, tasks: int) -> bool:
    return albums == ALBUMS and filled == tasks


def look(system: System) -> None:
    """The audit finds nothing, agrees with the sums, and would have found something."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.connect() as connection:
        assert list(collections.overlaps(connection, "albums")) == []
        assert list(fetch_tasks.overlaps(connection)) == []
        tasks = connection.execute(text("select id, host, external_id, attempt, state from fetch_tasks")).all()
        assert len(tasks) == len({(task.host, task.external_id) for task in tasks})
        assert max(task.attempt for task in tasks) > 1, "some were taken again"
        _, filled, counted = progress(system)
        # Whoever was late with an album that another had found may still have named a torrent that nobody fetched.
        assert (filled, counted) == (sum(task.state == "filled" for task in tasks), len(tasks))
        for _ in range(2):
            connection.execute(STEAL, {"id": tasks[0].id})
        assert {row["task_id"] for row in fetch_tasks.overlaps(connection)} == {tasks[0].id}
        connection.rollback()
    engine.dispose()
