"""One chaos run: clients ask while blows fall, then everything has its time to settle, then the invariants are read."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue

import orjson
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from infra.settings import Settings
from infra.topology import DEAD, EVENTS, QUEUES, UNROUTABLE
from tests.broker import Broker, declare
from tests.bucket import Bucket
from tests.chaos import invariants
from tests.chaos.blows import Arsenal, Chaos
from tests.chaos.cast import Cast
from tests.chaos.clients import Books, Client
from tests.chaos.demand import Material, Wanted, demand
from tests.chaos.invariants import Finding
from tests.chaos.reconcile import named_objects, reconcile
from tests.chaos.report import Report
from tests.chaos.wires import Wires
from tests.clips.factory import Clips, Recipe
from tests.ground import Ground
from tests.system import System

CLIENTS = 6
GROUP = 10
BURSTS = 12
SETTLE_SECONDS = 180.0
SUBSCRIBER = "chaos.events"


@dataclass(frozen=True)
class Plan:
    """How many jobs, for how many seconds blows are dealt (every kind once in any case), and about how far apart."""

    jobs: int
    seconds: float
    seed: int
    pause: float = 2.0


class Play:
    """One chaos run on servers that are up."""

    def __init__(self, ground: Ground, system: System, database: Engine, wires: Wires, plan: Plan) -> None:
        self._ground = ground
        self._system = system
        self._database = database
        self._plan = plan
        self._dice = random.Random(plan.seed)
        self._books = Books()
        self._cast = Cast(system, 0.5, wires.environment)
        self._settings = settings_of(system)
        name, vhost = str(database.url.database), str(make_url(self._amqp_url).database)
        arsenal = Arsenal(self._cast, ground.stack, wires, ground.admin, name, vhost, random.Random(plan.seed + 1))
        self._chaos = Chaos(arsenal, random.Random(plan.seed + 2), plan.seconds, plan.pause)

    @property
    def _amqp_url(self) -> str:
        return self._system.environment["REELMILL_AMQP_URL"]

    def run(self) -> Report:
        """Ask, strike, wait, look."""
        declare(self._settings)
        with Broker(self._settings) as broker:
            broker.queue(SUBSCRIBER, EVENTS)
        self._cast.start()
        wanted = demand(self._plan.jobs, self._upload(), self._dice)
        begin = time.monotonic()
        self._chaos.start()
        self._ask(wanted)
        self._chaos.join()
        left = self._settle()
        took = time.monotonic() - begin
        self._cast.stop()
        delivered = self._delivered()
        self._system.stop()
        reconcile(self._settings, self._database)
        report = Report(
            self._plan.seed,
            self._chaos.dealt,
            self._cast.deaths,
            self._cast.own_deaths,
            self._books.repeats,
            self._attempts(),
            took,
        )
        report.findings.extend(self._look(wanted, delivered, left))
        return report

    def _upload(self) -> Material:
        clip = Clips(self._ground.folder / "clips").make(Recipe(frames=300))
        return Material(
            self._system.upload(b"hello\n", "hello.txt"), self._system.upload(clip.read_bytes(), "clip.mp4")
        )

    def _ask(self, wanted: Sequence[Wanted]) -> None:
        """By several clients at once, in bursts over the time of the chaos."""
        groups = [list(group) for _, group in groupby(sorted(wanted, key=_group_of), key=_group_of)]
        self._dice.shuffle(groups)
        begin = time.monotonic()
        errands: SimpleQueue[tuple[float, list[Wanted]]] = SimpleQueue()
        for number, group in enumerate(groups):
            burst = number * BURSTS // len(groups)
            errands.put((begin + self._plan.seconds * burst / BURSTS, group))
        threads = [threading.Thread(target=self._serve, args=(errands,), daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve(self, errands: "SimpleQueue[tuple[float, list[Wanted]]]") -> None:
        client = Client(self._system.url, self._system.token, self._amqp_url, self._books)
        try:
            while True:
                due, group = errands.get_nowait()
                time.sleep(max(due - time.monotonic(), 0))
                client.ask(group[0].door, group)
        except Empty:
            return
        except BaseException as error:
            self._books.failures.append(error)
        finally:
            client.close()

    def _settle(self) -> int:
        """Wait until every job has ended, every event has gone out and every queue is empty. Returns what is left."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            left = self._left()
            if left == 0 or time.monotonic() > deadline:
                return left
            time.sleep(0.3)

    def _left(self) -> int:
        try:
            with self._database.connect() as connection:
                live = connection.execute(text("select count(*) from jobs where finished_at is null")).scalar_one()
                numbered = "(select seq from event_marks where reader = 'exchange')"
                unsent = f"select count(*) from events where seq is null or seq > {numbered}"
                waiting = int(connection.execute(text(unsent)).scalar_one())
        except DBAPIError:  # its connection was one of those that were cut
            return 1
        with Broker(self._settings) as broker:
            return int(live) + waiting + sum(max(broker.depth(queue.name), 0) for queue in QUEUES if queue.name != DEAD)

    def _delivered(self) -> list[int]:
        with Broker(self._settings) as broker:
            return [int(orjson.loads(body)["seq"]) for _, _, body in broker.take_all(SUBSCRIBER)]

    def _attempts(self) -> Counter[int]:
        with self._database.connect() as connection:
            rows = connection.execute(text("select attempt, count(*) as jobs from jobs group by attempt"))
            return Counter({row.attempt: row.jobs for row in rows})

    def _look(self, wanted: Sequence[Wanted], delivered: Sequence[int], left: int) -> Iterator[Finding]:
        troubles = [*self._books.failures, *self._chaos.failures]
        yield Finding("clients and blows went as planned", CLIENTS + 1, [repr(trouble) for trouble in troubles])
        yield Finding("jobs, events or messages wait for ever", left, [f"{left} wait"] if left else [])
        yield from invariants.of_jobs(self._database, wanted, self._books.accepted)
        yield from invariants.of_effects(self._database)
        yield from invariants.of_events(self._database, delivered)
        yield from invariants.of_objects(Bucket(self._system.environment).keys(), named_objects(self._database))
        with Broker(self._settings) as broker:
            parked = {queue: broker.depth(queue) for queue in (DEAD, UNROUTABLE)}
        yield Finding("messages were parked", sum(parked.values()), [str(parked)] if any(parked.values()) else [])


def _group_of(wanted: Wanted) -> tuple[str, str, int]:
    """Singly, or in groups of one kind where a door takes many."""
    return wanted.door, wanted.kind, wanted.number // (GROUP * 5 if wanted.door in {"ndjson", "packed"} else 1)


def settings_of(system: System) -> Settings:
    """The settings of a system's processes."""
    given = {name.removeprefix("REELMILL_").lower(): value for name, value in system.environment.items()}
    return Settings.model_validate({name: given[name] for name in Settings.model_fields if name in given})
