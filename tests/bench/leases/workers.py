"""`python -m tests.bench.leases.workers <json>`: many workers in one process, over HTTP. Prints what they have done."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvloop

from tests.bench import keepalive


@dataclass
class Workers:
    """So many connections that take `count` items again and again, `requests` times all together."""

    collection: str
    connections: int
    requests: int
    count: int
    submit: bool = False
    """Whether each lease is submitted whole, with the next one asked for in another request."""
    took: list[float] = field(default_factory=list)
    items: int = 0
    sent: int = 0

    def run(self) -> dict[str, Any]:
        """Do it; what it took."""
        begin = time.perf_counter()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(keepalive.converse(_address()[0], [self._talk(n) for n in range(self.connections)]))
        seconds = time.perf_counter() - begin
        self.took.sort()
        p50, p99 = (self.took[min(int(len(self.took) * part), len(self.took) - 1)] * 1000 for part in (0.5, 0.99))
        cpu = time.process_time()
        return {"items": self.items, "requests": self.sent, "seconds": seconds, "p50": p50, "p99": p99, "cpu": cpu}

    def _talk(self, number: int) -> keepalive.Talk:
        at = f"/v1/collections/{self.collection}/leases"
        take = self._request(at, {"count": self.count, "worker": f"w{number}"})
        first = True  # it waits for the connections of all others
        while self.sent < self.requests:
            self.sent += 1
            begin = time.perf_counter()
            told = yield take
            if not first:
                self.took.append(time.perf_counter() - begin)
            first = False
            lease = told[10:46].decode()  # {"lease":"...
            self.items += told.count(b'"attempt":')
            if self.submit:
                yield self._request(f"{at}/{lease}/submit", {"completed": "all"})

    def _request(self, path: str, body: dict[str, Any]) -> bytes:
        return keepalive.request(*_address(), path, orjson.dumps(body))


def _address() -> tuple[str, str]:
    return os.environ["BENCH_URL"], os.environ["BENCH_TOKEN"]


def _orders() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield orjson.loads(line)


if __name__ == "__main__":
    for order in _orders():
        sys.stdout.buffer.write(orjson.dumps(Workers(**order).run()) + b"\n")
        sys.stdout.flush()
