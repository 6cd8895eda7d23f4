"""The thread that carries parcels to the broker, over one connection after another.

Whatever happens to a connection, its parcels without a confirm go first on the next one, with the same ids.
"""

import logging
import random
import threading
from collections import deque

from infra.producer.fates import Lost, Parcel
from infra.producer.wire import Line, Settled, parameters

log = logging.getLogger("reelmill.producer")

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0


class Courier:
    """Takes parcels from any thread and settles each exactly once, in its own thread."""

    def __init__(self, url: str, name: str, settled: Settled) -> None:
        self._parameters = parameters(url, name)
        self._settled = settled
        self._waiting: deque[Parcel] = deque()
        self._line: Line | None = None
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.state = "not connected yet"
        """For people: what the connection is doing."""

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def put(self, parcel: Parcel) -> None:
        """Send a parcel."""
        self._waiting.append(parcel)
        with self._turn:
            if self._line is not None:
                self._line.wake()

    def is_own_thread(self) -> bool:
        """Whether the caller runs in the thread that must not wait for itself."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """Hang up. What has no fate is Lost."""
        self._stopping.set()
        with self._turn:
            if self._line is not None:
                self._line.hang_up()
        self._thread.join()

    def _run(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._stopping.is_set():
            self.state = "connecting"
            line = Line(self._parameters, self._waiting, self._settled)
            with self._turn:
                self._line = line
            if not self._stopping.is_set():  # it may have come while nobody could be told
                self.state = f"broken: {line.serve(self._connected)!r}"
            with self._turn:
                self._line = None
            line.end()
            self._waiting.extendleft(reversed(line.unconfirmed()))
            wait = FIRST_WAIT_SECONDS if line.was_open else min(wait * 2, LONGEST_WAIT_SECONDS)
            if not self._stopping.is_set():
                log.warning("no connection to the broker: %s", self.state)
            self._stopping.wait(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        left = list(self._waiting)
        self._waiting.clear()
        if left:
            self._settled(left, Lost("the producer was closed before the broker had confirmed it"))

    def _connected(self) -> None:
        self.state = "connected"
