"""What is done to the system: its processes are killed and frozen, its servers restarted, its connections cut."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
from sqlalchemy import Engine

from infra.stack import Stack
from infra.stack.server import Server
from tests.chaos.cast import CONSUMERS, NAMES, Cast
from tests.chaos.wires import Wires
from tests.outage import hang_up

LONGEST_FREEZE = 5.0


@dataclass(frozen=True)
class Blow:
    """One kind of blow, and how often it is dealt compared to the others."""

    name: str
    weight: int
    strike: Callable[[], None]


class Arsenal:
    """Every kind of blow against one system."""

    def __init__(
        self, cast: Cast, stack: Stack, wires: Wires, admin: Engine, database: str, vhost: str, dice: random.Random
    ) -> None:
        self._cast = cast
        self._wires = wires
        self._admin = admin
        self._database = database
        self._stack = stack
        self._vhost = vhost
        self._dice = dice
        self.blows = (
            Blow("a process killed", 5, self._kill),
            Blow("a consumer killed", 5, self._kill_consumer),
            Blow("two processes killed", 2, self._kill_two),
            Blow("a process frozen", 3, self._freeze),
            Blow("a server frozen", 2, self._freeze_server),
            Blow("database connections cut", 2, self._cut_database),
            Blow("broker connections cut", 2, self._cut_broker),
            Blow("the network cut", 2, self._cut_network),
            Blow("Postgres killed and started", 1, lambda: self._restart(stack.postgres)),
            Blow("RabbitMQ killed and started", 1, lambda: self._restart(stack.rabbitmq)),
            Blow("S3 killed and started", 1, lambda: self._restart(stack.objects)),
        )

    def _kill(self) -> None:
        self._cast.kill(self._dice.choice(NAMES))

    def _kill_consumer(self) -> None:
        self._cast.kill(self._dice.choice(CONSUMERS))

    def _kill_two(self) -> None:
        for name in self._dice.sample(NAMES, 2):
            self._cast.kill(name)

    def _freeze(self) -> None:
        self._cast.freeze(self._dice.choice(NAMES), self._dice.uniform(0.5, LONGEST_FREEZE))

    def _freeze_server(self) -> None:
        """What a network looks like that delivers nothing for a while, and then everything."""
        server = self._dice.choice((self._stack.postgres, self._stack.rabbitmq, self._stack.objects))
        assert server.process is not None
        family = [server.process.popen, *server.process.popen.children(recursive=True)]
        _signal(family, signal.SIGSTOP)
        time.sleep(self._dice.uniform(0.5, LONGEST_FREEZE))
        _signal(family, signal.SIGCONT)

    def _cut_database(self) -> None:
        hang_up(self._admin, self._database)

    def _cut_broker(self) -> None:
        self._stack.rabbitmqctl("close_all_connections", "--vhost", self._vhost, "chaos")

    def _cut_network(self) -> None:
        """All servers are out of reach at once."""
        self._wires.cut()
        time.sleep(self._dice.uniform(0.5, LONGEST_FREEZE))
        self._wires.mend()

    def _restart(self, server: Server) -> None:
        server.kill()
        server.start()


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # Postgres has a process for every connection
            process.send_signal(number)


class Chaos:
    """Deals blows on a thread of its own: every kind once, then at random, until `seconds` are over."""

    def __init__(self, arsenal: Arsenal, dice: random.Random, seconds: float, pause: float) -> None:
        self.dealt: Counter[str] = Counter()
        self.failures: list[BaseException] = []
        self._arsenal = arsenal
        self._dice = dice
        self._seconds = seconds
        self._pause = pause
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the last blow."""
        self._thread.join()

    def _run(self) -> None:
        end = time.monotonic() + self._seconds
        try:
            for number, blow in enumerate(self._sequence()):
                if time.monotonic() > end and number >= len(self._arsenal.blows):
                    return
                blow.strike()
                self.dealt[blow.name] += 1
                time.sleep(self._dice.uniform(0.2, 1.8) * self._pause)
        except BaseException as error:
            self.failures.append(error)

    def _sequence(self) -> Iterator[Blow]:
        blows = self._arsenal.blows
        yield from self._dice.sample(blows, len(blows))
        while True:
            yield self._dice.choices(blows, [blow.weight for blow in blows])[0]
