"""`python -m tests.bench.doors <door>`: a producer that sends no-op jobs by one of our doors."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, repeat

import orjson
import uvloop

from infra.producer import Producer
from tests.bench import keepalive
from tests.bench.obedience import obey

KIND = "probe.echo"
PARAMS = {"text": "hello"}
CONNECTIONS = 32
BATCH_CONNECTIONS = 2


def by_http(count: int) -> None:
    """One request per job, over 32 connections."""
    once = keepalive.request(*_address(), "/v1/jobs", orjson.dumps({"kind": KIND, "params": PARAMS}))
    _post(repeat(once, count), CONNECTIONS)


def by_ndjson(count: int) -> None:
    """Batches, each as large as its limit allows or so that every connection has two."""
    size = min(5000, max(count // (2 * BATCH_CONNECTIONS), 1))
    _post(_batches(count, size), BATCH_CONNECTIONS)


def _batches(count: int, size: int) -> Iterator[bytes]:
    lines = iter(range(count))
    while batch := list(islice(lines, size)):
        body = b"\n".join(orjson.dumps({"kind": KIND, "params": PARAMS}) for _ in batch)
        yield keepalive.request(*_address(), "/v1/jobs", body, "application/x-ndjson")


def _post(requests: Iterator[bytes], connections: int) -> None:
    url, _ = _address()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(keepalive.send(url, requests, connections))


def _address() -> tuple[str, str]:
    return os.environ["BENCH_URL"], os.environ["BENCH_TOKEN"]


def by_amqp(pack: bool) -> None:
    """The Python producer; packed, several jobs travel in one message."""
    with Producer(os.environ["REELMILL_AMQP_URL"], pack=pack) as producer:

        def send(count: int) -> None:
            for _ in range(count):
                producer.send(KIND, PARAMS)
            producer.flush()

        obey(send)


DOORS: dict[str, Callable[[], None]] = {
    "http": partial(obey, by_http),
    "ndjson": partial(obey, by_ndjson),
    "amqp": partial(by_amqp, pack=False),
    "packed": partial(by_amqp, pack=True),
}

if __name__ == "__main__":
    DOORS[sys.argv[1]]()
