"""Messages without sense for every queue, through the real broker: bodies and envelopes, random and mutated."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pika
from pika.exceptions import AMQPError

from infra.topology import LEASES, OLD_EXPORTS, queue_of
from schemas.registry import KINDS, Consumer
from schemas.wire import LARGEST_BODY
from tests.broker import parameters, publishing
from tests.fuzz.mutation import worse_bytes, worse_json
from tests.integration.test_fuzz import bodies

SAMPLES = Path(__file__).parents[1] / "contract" / "samples"
TYPES = (None, "application/json", "application/x-ndjson", "application/cloudevents+json", "text/plain", "x" * 200, "")
ORDERS: tuple[dict[str, Any], ...] = (
    {"op": "acquire", "collection": "segments", "count": 3, "ttl": 60, "worker": "w", "partition": "eval"},
    {"op": "submit", "collection": "segments", "lease": str(uuid4()), "results": [{"key": "k", "state": "completed"}]},
    {"op": "extend", "collection": "segments", "lease": str(uuid4()), "ttl": 60},
    {"op": "release", "collection": "segments", "lease": str(uuid4()), "keys": ["k"]},
    {"op": "move", "collection": "segments", "moves": [{"key": "k", "state": "missing"}], "override": True},
    {"op": "abandon", "collection": "segments", "request_id": "r"},
)
QUEUES = (*(queue_of(consumer) for consumer in Consumer), LEASES, OLD_EXPORTS)


def publish(url: str, number: int, chance: random.Random) -> int:
    """So many messages to each queue that somebody consumes. Returns how many went out."""
    sent = 0
    with publishing(url) as channel:
        for queue in QUEUES:
            senseless = bodies(chance)
            for _ in range(number):
                key = _key(queue, chance)
                exchange, key = ("", queue) if key is None else ("reelmill.jobs", key)
                channel.basic_publish(exchange, key, _body(queue, key, senseless, chance), _properties(chance))
                sent += 1
    return sent


def deserted(url: str, patience: float) -> list[str]:
    """The queues that nobody consumes, however long one looks.

    A consumer without room for another job is none, and of a busy queue the broker may say that it has none.
    """
    left = [queue for queue in QUEUES if queue != OLD_EXPORTS]
    deadline = time.monotonic() + patience
    with pika.BlockingConnection(parameters(url)) as connection:
        channel = connection.channel()
        while left := [q for q in left if not channel.queue_declare(q, passive=True).method.consumer_count]:
            if time.monotonic() > deadline:
                break
            connection.sleep(0.1)
    return left


def waiting(url: str) -> int:
    """Messages that are in the queues."""
    try:
        with pika.BlockingConnection(parameters(url)) as connection:
            channel = connection.channel()
            return sum(channel.queue_declare(queue, passive=True).method.message_count for queue in QUEUES)
    except AMQPError:
        return -1


def _key(queue: str, chance: random.Random) -> str | None:
    """A kind that leads to the queue; None for the queue itself."""
    kinds = [kind.name for kind in KINDS.values() if queue_of(kind.consumer) == queue]
    return chance.choice(kinds) if kinds and chance.random() < 0.9 else None


def _body(queue: str, key: str, senseless: Iterator[bytes], chance: random.Random) -> bytes:
    dice = chance.random()
    if dice < 0.3:
        return next(senseless)
    if dice < 0.305:
        return b" " * (LARGEST_BODY + 1)
    if queue == OLD_EXPORTS:
        return chance.choice((b"clf-1", b"clf-", b"clf-99999999999999999999", worse_bytes(b"clf-12", chance)))
    sample = chance.choice(ORDERS) if queue == LEASES else _sample(key, chance)
    worse = worse_json(sample, chance)
    try:
        text = orjson.dumps(worse)
    except TypeError:
        text = repr(worse).encode()
    return worse_bytes(text, chance) if dice > 0.8 else text


def _sample(key: str, chance: random.Random) -> Any:
    """The body of a sample of this kind, or of any."""
    found: Sequence[Path] = sorted(SAMPLES.glob(f"{key}.v*.json")) or sorted(SAMPLES.glob("*.json"))
    sample = orjson.loads(chance.choice(found).read_bytes())
    try:
        return orjson.loads(sample.get("body", b"{}"))
    except (orjson.JSONDecodeError, TypeError):
        return {}


def _properties(chance: random.Random) -> pika.BasicProperties:
    """An envelope that the broker lets through; what is in it is anybody's guess."""
    odd: tuple[Any, ...] = (
        "",
        "x",
        1,
        -1,
        None,
        True,
        2**62,
        "line\nfeed",
        "x" * 255,
        {"a": [b"\xff", None]},
        ["v"],
    )
    names = (
        "reelmill-version", "traceparent", "cloudEvents:id", "cloudEvents:type", "cloudEvents:source", "x-death",
    )  # fmt: skip
    headers = {name: chance.choice(odd) for name in chance.sample(names, chance.randrange(4))}
    if isinstance(headers.get("x-death"), list):
        # RabbitMQ 3.10 itself breaks on a list of anything but tables, in its `rabbit_fifo_dlx_worker`.
        del headers["x-death"]
    text = ("", "x", "probe.echo", "no.such.kind", str(uuid4()), "line\nfeed", "x" * 255, "é")
    given: dict[str, Any] = {
        "message_id": chance.choice((*text, None, None)),
        "type": chance.choice((*text, None, None, None, None)),
        "correlation_id": chance.choice((*text, None)),
        "content_type": chance.choice(TYPES),
        "content_encoding": chance.choice((None, None, None, "gzip", "utf-16", "x")),
        "priority": chance.choice((None, None, 0, 9, 255)),
        "reply_to": chance.choice((None, "nowhere", "x" * 200)),
        "delivery_mode": chance.choice((1, 2, None)),
    }
    return pika.BasicProperties(headers=headers or None, **{k: v for k, v in given.items() if v is not None})
