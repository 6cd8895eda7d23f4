"""Our own system as a contestant: gateway, relay and dispatcher, and a producer for each door."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self

import psycopg2
import psycopg2.extras

from infra.ids import new_id
from infra.stack.server import Server
from tests.bench.contest import Producer, Run, measure
from tests.ground import Ground
from tests.system import System, until

#: What the tests are hurried by; here everything is as it comes.
HURRIES = ("LEASE_SECONDS", "BEAT_SECONDS", "RELAY_TICK_SECONDS", "GRACE_SECONDS")
WARM_UP = 500
# By id, which grows with time: what earlier runs have left is not counted.
DONE = "select count(*) from jobs where state = 'succeeded' and id >= %s"
UNSENT = """
select count(*) from (
    (select from events where seq is null limit 1)
    union all
    (select from events where seq > (select seq from event_marks where reader = 'exchange') limit 1)
) as unsent
"""


class House:
    """Our processes on a database of their own."""

    def __init__(self, ground: Ground, database: str | None = None, processes: Sequence[str] = ()) -> None:
        self._ground = ground
        environment = ground.environment(database)
        self.environment = {k: v for k, v in environment.items() if k.removeprefix("REELMILL_") not in HURRIES}
        self._processes = processes or ("gateway", "relay", "dispatcher")
        self._running = ground.system(self.environment)
        self.system: System

    def __enter__(self) -> Self:
        self.connection = psycopg2.connect(self.environment["REELMILL_DATABASE_URL"])
        self.connection.autocommit = True
        psycopg2.extras.register_uuid(conn_or_curs=self.connection)  # type: ignore[no-untyped-call]
        self.system = self._running.__enter__()
        self.system.start(*self._processes)
        until(lambda: self.system.http.get("/readyz").json()["checks"]["broker"], "the gateway reaches the broker")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)
        self.connection.close()

    @contextmanager
    def door(self, name: str) -> Iterator["Door"]:
        """A producer at one of the doors, warm."""
        log = self.system.folder / f"{name}.log"
        environment = os.environ | self.environment | {"BENCH_URL": self.system.url, "BENCH_TOKEN": self.system.token}
        producer = Producer([sys.executable, "-m", "tests.bench.doors", name], environment, log)
        try:
            door = Door(self, producer)
            door.run(WARM_UP)
            yield door
        finally:
            producer.close()

    def pids(self) -> dict[str, int]:
        """Every process of ours, and the servers."""
        servers: tuple[Server, ...] = (self._ground.stack.postgres, self._ground.stack.rabbitmq)
        pids = {name: process.pid for name, process in self.system.processes.items()}
        return pids | {server.name: server.process.pid for server in servers if server.process is not None}

    def quiet(self) -> None:
        """Wait until the relay has nothing left to do of earlier runs."""
        until(lambda: self.one(UNSENT) == 0, "the events are out")
        time.sleep(0.3)

    def one(self, query: str, *values: object) -> int:
        """A number from the database."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            [(number,)] = cursor.fetchall()
            return int(number)


class Door:
    """One way in."""

    def __init__(self, house: House, producer: Producer) -> None:
        self._house = house
        self._producer = producer

    def run(self, jobs: int) -> Run:
        """Measure once."""
        self._house.quiet()
        return measure(self._producer, partial(self._house.one, DONE, new_id()), jobs, self._house.pids())
