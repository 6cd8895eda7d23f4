"""Our processes on a database of their own, with the workers that ask them and the rivals that share the server."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Engine

from infra import db
from infra.leasing import desk
from schemas.leases import ORDER
from tests.bench import profile
from tests.bench.house import House
from tests.bench.leases.collection import fill, settle
from tests.bench.leases.rivals import Rival
from tests.ground import Ground
from tests.system import until

PROCESSES = ("gateway", "relay", "dispatcher", "keeper")


@dataclass(frozen=True)
class Done:
    """What workers got: items and requests, milliseconds for a lease, CPU microseconds per item by process."""

    items: int
    requests: int
    seconds: float
    p50: float
    p99: float
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds


class Site:
    """Where leases are measured."""

    def __init__(self, house: House, clients: "subprocess.Popen[bytes]") -> None:
        self.house = house
        self._clients = clients
        url = house.environment["REELMILL_DATABASE_URL"]
        self.engine: Engine = db.connect(url, pool=4, application="bench")
        self.rival = Rival(url, house.system.folder)
        self._filled: set[str] = set()

    def collection(self, items: int, done: float = 0.0, number: int = 0) -> str:
        """A collection of so many items, a part of which is done. The same call gives the same one, as it is by now."""
        name = f"items-{items}-{done:g}-{number}"
        if name not in self._filled:
            fill(self.engine, name, items, done)
            self._filled.add(name)
        return name

    def settle(self) -> None:
        """Wait until the database has nothing left to do of what was filled in."""
        settle(self.engine)

    def work(self, collection: str, connections: int, requests: int, count: int, submit: bool = False) -> Done:
        """Have workers take items over HTTP."""
        order = {"collection": collection, "connections": connections, "requests": requests, "count": count}
        pids = self.house.pids() | {"clients": self._clients.pid}
        before = profile.all_used(pids)
        assert self._clients.stdin is not None
        assert self._clients.stdout is not None
        self._clients.stdin.write(orjson.dumps(order | {"submit": submit}) + b"\n")
        self._clients.stdin.flush()
        line = self._clients.stdout.readline()
        assert line, self.house.system.folder.joinpath("clients.log").read_text()[-2000:]
        told = orjson.loads(line)
        used = profile.between(before, profile.all_used(pids))
        cpu = {name: seconds / max(told["items"], 1) * 1e6 for name, seconds in used.items()}
        assert told["items"] == told["requests"] * count, f"the collection has run dry: {told}"
        return Done(**{name: told[name] for name in ("items", "requests", "seconds", "p50", "p99")}, cpu=cpu)

    def straight(self, collection: str, batch: int, count: int, seconds: float) -> float:
        """Items a second of the dispatcher's statements alone: one transaction for so many requests, then the next."""
        order = {"op": "acquire", "collection": collection, "owner": "bench", "worker": "w", "count": count}
        orders = [ORDER.validate_python(order)] * batch
        with self.engine.begin() as connection:
            desk.answer(connection, orders)  # the connection is new
        items = 0
        begin = time.perf_counter()
        while time.perf_counter() < begin + seconds:
            with self.engine.begin() as connection:
                desk.answer(connection, orders)
            items += batch * count
        return items / (time.perf_counter() - begin)

    def counts(self, collection: str) -> dict[str, int]:
        """How many items are in which state."""
        told: dict[str, Any] = self.house.system.http.get(f"/v1/collections/{collection}/counts").json()
        return {state: n for state, n in told["by_state"].items() if n}


@contextmanager
def site(ground: Ground) -> Iterator[Site]:
    """Everything started and warm."""
    with House(ground, processes=PROCESSES) as house:
        environment = os.environ | house.environment
        environment |= {"BENCH_URL": house.system.url, "BENCH_TOKEN": house.system.token}
        with house.system.folder.joinpath("clients.log").open("wb") as log:
            clients = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.leases.workers"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        made = Site(house, clients)
        until(lambda: "reelmill.leases" in house.system.log("dispatcher"), "the dispatcher has its queue")
        try:
            yield made
        finally:
            made.engine.dispose()
            clients.kill()
            clients.communicate()
