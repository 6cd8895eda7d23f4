"""The processes of the system under chaos: killed and frozen on purpose, and started again when they are gone."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from tests.system import System

LOOK_SECONDS = 0.1
#: Two of whatever may be doubled; one gateway, because it has one port.
CONSUMERS = ("dispatcher", "dispatcher.2", "analyzer", "analyzer.2", "splitter")
NAMES = ("gateway", "relay", "relay.2", *CONSUMERS)


class Cast:
    """Starts everything, and again whatever has ended, `downtime` seconds after its death."""

    def __init__(self, system: System, downtime: float, environment: Mapping[str, str]) -> None:
        self.deaths: Counter[str] = Counter()
        self.own_deaths: Counter[str] = Counter()
        """Those that nobody killed, with how they ended."""
        self._system = system
        self._downtime = downtime
        self._environment = environment
        self._struck: set[int] = set()
        self._rest: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Start them all."""
        self._system.start(*NAMES, **self._environment)
        self._keeper.start()

    def stop(self) -> None:
        """Start none again."""
        self._over.set()
        self._keeper.join()

    def kill(self, name: str) -> None:
        """`kill -9`, if it lives."""
        process = self._system.processes[name]
        with self._lock:
            if process.poll() is not None:
                return
            self._struck.add(process.pid)
            self.deaths[name.partition(".")[0]] += 1
        process.kill()

    def freeze(self, name: str, seconds: float) -> None:
        """Stop it for a while, longer than its leases if that is long."""
        process = self._system.processes[name]
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGSTOP)
            self._over.wait(seconds)
            process.send_signal(signal.SIGCONT)

    def _keep(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for name in NAMES:
                if self._system.processes[name].poll() is not None:
                    self._revive(name)

    def _revive(self, name: str) -> None:
        process = self._system.processes[name]
        with self._lock:
            since = self._rest.setdefault(name, time.monotonic())
            if time.monotonic() < since + self._downtime:
                return
            del self._rest[name]
            if process.pid not in self._struck:
                self.own_deaths[f"{name.partition('.')[0]} ended with {process.returncode}"] += 1
        with suppress(AssertionError):  # the gateway may die again while it starts
            self._system.start(name, **self._environment)
