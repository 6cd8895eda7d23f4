"""Two deployments that share what they know: written on both, cut off from each other, brought together again."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra import db, replication
from infra.stack import Stack
from tests.conftest import new_database, new_environment, new_system
from tests.system import System, until
from tests.vhosts import Vhosts

ALBUM = {"01.flac": 10, "02.flac": 20}
NEW = text("insert into fetch_tasks (host, external_id, created_by, updated_by) values (:host, :id, 'me', 'me')")
TASKS = text(
    "select host, external_id, case state when 'leased' then 'open' else state end, location, reason from fetch_tasks"
)
FILL = text("update fetch_tasks set state = 'filled', location = :at where host = :host and external_id = :id")
LINKS = text(
    "select t.host, t.external_id, i.key from candidates l join fetch_tasks t on t.id = l.task_id "
    "join items i on i.pool_id = l.pool_id and i.position = l.position"
)


@dataclass
class Deployment:
    """One of the two."""

    system: System
    engine: Engine

    def task(self, external_id: str, host: str = "a.example") -> None:
        """Somebody wants something."""
        with self.engine.begin() as connection:
            connection.execute(NEW, {"host": host, "id": external_id})

    def change(self, statement: str, **values: Any) -> None:
        """Somebody changes something."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def manifest(self, external_id: str, directory: str, sizes: dict[str, int] | None = None) -> None:
        """Put a manifest."""
        files = [{"path": path, "size": size} for path, size in (sizes or ALBUM).items()]
        body = {"directory": directory, "files": files}
        assert self.system.http.put(f"/v1/manifests/a.example/{external_id}", json=body).is_success

    def cache(self, key: str, value: Any) -> None:
        """Put a value."""
        assert self.system.http.put(f"/v1/cache/a.example/{key}", json=value).is_success

    def value(self, key: str) -> str | None:
        """A value that has not expired."""
        answer = self.system.http.get(f"/v1/cache/a.example/{key}")
        return answer.text if answer.is_success else None

    def deliver(self, location: str) -> None:
        """Say that an album lies somewhere, and wait for the check."""
        files = [{"path": path, "size": size} for path, size in ALBUM.items()]
        here = self.system.http.post("/v1/deliveries", json={"location": location, "files": files}).headers["location"]
        until(lambda: self.system.http.get(here).json()["outcome"] == "matched", "the delivery matches")

    def reads(self) -> dict[str, Any]:
        """All that is shared, as this deployment has it."""
        http = self.system.http
        listed = http.get("/v1/manifests", params={"limit": 1000}).json()["manifests"]
        whole = [http.get(f"/v1/manifests/{each['host']}/{each['external_id']}").json() for each in listed]
        changes = http.get("/v1/replication/changes", params={"limit": 1000}).json()["changes"]
        values = {change["thing"]["key"] for change in changes if change["thing"]["kind"] == "cache"}
        with self.engine.connect() as connection:
            tasks = sorted(map(tuple, connection.execute(TASKS)))
            links = sorted(map(tuple, connection.execute(LINKS)))
        assert len({task[:2] for task in tasks}) == len(tasks)
        return {
            "manifests": whole,
            "tasks": tasks,
            "links": links,
            "values": {key: self.value(key) for key in values},
            "shared": sorted(((c["thing"], c["revision"]) for c in changes), key=repr),
        }


@dataclass
class Pair:
    """The two, and what brings them together."""

    left: Deployment
    right: Deployment

    def replicate(self) -> str:
        """Both ways, by the command; what it says."""
        done = self.attempt()
        assert done.returncode == 0, done.stderr
        return done.stderr

    def attempt(self) -> "subprocess.CompletedProcess[str]":
        """Both ways, by the command."""
        return subprocess.run(self._command(), capture_output=True, text=True, check=False)

    def until_equal(self) -> dict[str, Any]:
        """A conflict goes to and fro once: then there is nothing new."""
        for _ in range(3):
            self.replicate()
        assert "applied" not in (told := self.replicate()), told
        left, right = self.left.reads(), self.right.reads()
        assert left == right
        return left

    def _command(self) -> list[str]:
        here, there = self.left.system, self.right.system
        return [
            sys.executable, "-c", "from infra.cli.app import main; main()", "--url", here.url, "--token", here.token,
            "replicate", there.url, "--peer-token", there.token, "--both",
        ]  # fmt: skip


@pytest.fixture(scope="module")
def pair(stack: Stack, admin: Engine, vhosts: Vhosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folders: list[Path] = [tmp_path_factory.mktemp(name) for name in ("left", "right")]
    with (
        vhosts.one() as here,
        vhosts.one() as there,
        new_system(new_environment(stack, new_database(stack, admin), here, folders[0]), folders[0]) as left,
        new_system(new_environment(stack, new_database(stack, admin), there, folders[1]), folders[1]) as right,
    ):
        made = []
        for system in (left, right):
            system.start("gateway", "keeper", "relay")
            made.append(Deployment(system, db.connect(system.environment["REELMILL_DATABASE_URL"], pool=2)))
        yield Pair(*made)
        for each in made:
            each.engine.dispose()


def state_of(deployment: Deployment, external_id: str) -> tuple[Any, ...]:
    return next(task[2:] for task in deployment.reads()["tasks"] if task[1] == external_id)


@pytest.mark.row("S2-19", "X-20")
def test_two_deployments_agree_after_a_cut(pair: Pair) -> None:
    left, right = pair.left, pair.right
    for each in (left, right):
        each.system.http.put("/v1/collections/albums", json={})
        items = [{"key": key} for key in ("x", "y")]
        each.system.http.post("/v1/collections/albums/items", json={"items": items})
    for number in range(250):
        left.task(f"l{number}")
    for number in range(30):
        right.task(f"r{number}")
    for each in (left, right):
        each.task("both")
        each.manifest("both", "An album")
    left.cache("Björk", {"n": 1})
    pair.until_equal()

    # Cut in the middle: it goes on where it was.
    for number in range(50):
        left.task(f"more{number}")
    feed = left.system.http.get("/v1/replication/marks").json()
    marks = right.system.http.get("/v1/replication/marks").json()["marks"]
    since = next(mark["seq"] for mark in marks if mark["peer"] == feed["feed"])
    page = left.system.http.get("/v1/replication/changes", params={"since": since, "limit": 7}).json()
    changes = [{"revision": change["revision"], "thing": change["thing"]} for change in page["changes"]]
    batch = {"changes": changes, "peer": feed["feed"], "next": page["next"]}
    assert right.system.http.post("/v1/replication/changes", json=batch).json()["outcomes"] == ["applied"] * 7
    assert f"{left.system.url}: 43 applied\n" in pair.replicate()

    # The link is cut; both go on, also with the same things.
    right.system.stop_one("gateway")
    assert pair.attempt().returncode == 1
    right.system.start("gateway")
    left.deliver("/left/An album")
    for reason in ("gone", "gone for good"):
        right.change("update fetch_tasks set state = 'unavailable', reason = :r where external_id = 'both'", r=reason)
    right.change("update fetch_tasks set state = 'unavailable', reason = 'gone' where external_id = 'l3'")
    right.manifest("both", "An album, renamed", {**ALBUM, "03.flac": 1})
    right.manifest("both", "An album, renamed again", {**ALBUM, "03.flac": 2})
    for value in (2, 3, 4):
        left.cache("Björk", {"n": value})
    right.cache("Björk", {"n": "other"})
    left.system.http.put("/v1/cache/a.example/short", json=1)
    right.task("later")
    link = (
        "insert into candidates (task_id, pool_id, position, collection_id, found_by) "
        "select t.id, i.pool_id, i.position, i.collection_id, 'me' from fetch_tasks t, items i "
        "where t.external_id = 'later' and i.key = 'x'"
    )
    right.change(link)
    told = pair.until_equal()
    assert state_of(left, "both") == ("filled", "/left/An album", None), "what is finished wins over a later revision"
    assert state_of(left, "l3") == ("unavailable", None, "gone")
    assert told["manifests"][0]["directory"] == "An album, renamed again", "the later revision wins"
    assert told["values"]["Björk"] == '{"n":4}'
    assert told["links"] == [("a.example", "later", "x")]
    item = left.system.http.get("/v1/collections/albums/items/x").json()
    assert item["state"] == "completed", "found there is found here"
    assert left.system.http.delete("/v1/cache/a.example/short").status_code == 204
    right.change("update fetch_tasks set state = 'open', location = null where external_id = 'both'")
    pair.until_equal()
    assert right.value("short") is None
    assert state_of(right, "both")[0] == "filled"


@pytest.mark.row("S2-19")
def test_the_same_again_changes_nothing_and_nonsense_is_refused(pair: Pair) -> None:
    left, right = pair.left.system.http, pair.right.system.http
    pair.left.task("again")
    feed = left.get("/v1/replication/changes", params={"limit": 1000}).json()
    batch = {"changes": [{"revision": c["revision"], "thing": c["thing"]} for c in feed["changes"]]}
    right.post("/v1/replication/changes", json=batch)
    before, head = pair.right.reads(), right.get("/v1/replication/marks").json()["head"]
    again = right.post("/v1/replication/changes", json=batch).json()["outcomes"]
    assert set(again) == {"known"}
    assert (pair.right.reads(), right.get("/v1/replication/marks").json()["head"]) == (before, head)
    task = {"kind": "task", "host": "a.example", "external_id": "z", "state": "open", "location": None, "reason": None}
    for thing in (
        task,
        task | {"by": None, "state": "filled"},
        task | {"by": None, "host": "-"},
        {"kind": "other"},
        {"kind": "link", "host": "a.example", "external_id": "z", "collection": "../x", "item": "y"},
        {"kind": "cache", "space": "a.example", "key": "k", "value": "%%%"},
    ):
        refused = right.post("/v1/replication/changes", json={"changes": [{"revision": 1, "thing": thing}]})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter"), thing
    for since, status in (("x", 400), ("-1", 400), ("9" * 17, 410), ("9" * 30, 400)):
        assert right.get("/v1/replication/changes", params={"since": since}).status_code == status
    assert pair.right.reads() == before


@pytest.mark.row("S2-19")
def test_a_reader_misses_nothing_that_commits_late(database: Engine) -> None:
    seen: dict[str, int] = {}
    since, done, lock = 0, threading.Event(), threading.Lock()

    def write(writer: int) -> None:
        for number in range(60):
            with database.begin() as connection:
                connection.execute(NEW, {"host": f"h{writer}", "id": str(number)})
                other = {"host": f"h{writer}", "id": str(number // 2), "at": f"/{number}"}
                connection.execute(FILL, other)

    def read() -> None:
        nonlocal since
        while True:
            last = done.is_set()
            with database.begin() as connection:
                replication.number(connection)
            with database.begin() as connection:
                page = replication.page(connection, since, 7)
            with lock:
                seen.update({":".join(change.entity[1:]): change.revision for change in page.changes})
            since = page.next
            if last and not page.changes:
                return

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    with database.connect() as connection:
        rows = connection.execute(text("select space, key, revision from replicas")).all()
    assert {f"{row.space}:{row.key}": row.revision for row in rows} == seen
    assert len(seen) == 240
