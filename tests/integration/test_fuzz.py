"""A thousand bodies that make no sense, through the real broker: each is recorded with a code, and stops nobody."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

import orjson
import pika
import pytest
from sqlalchemy import Engine, text

from infra.settings import Settings
from schemas.wire import LARGEST_BODY
from tests.broker import declare, publishing
from tests.desk import Desk
from tests.system import System, until

NUMBER = 1000
PARKED_SECONDS = 600.0
KINDS = {"analyze.sleep": "reelmill.analyzer", "probe.echo": "reelmill.dispatcher"}
CODES = {
    "undecodable",
    "invalid_parameter",
    "unknown_kind",
    "unknown_version",
    "unroutable",
    "bad_message_id",
    "packed_not_supported",
}
LINES = b'{"text": "a"}\n{"text": \n{"text": "c"}\n'


def bodies(chance: random.Random) -> Iterator[bytes]:
    """Bodies for ever: none is a request for any kind."""
    whole = {"file": "abcd", "time": 0, "text": "t", "more": [1.5, None, {"deep": ["x" * 50]}]}
    while True:
        valid = orjson.dumps(whole)
        yield valid[: chance.randrange(len(valid))]  # cut off
        yield b"[" * chance.randrange(1, 100_000)
        yield b'{"more":' * chance.randrange(1, 5000)
        yield b'{"more": ' + b"[" * 500 + b"]" * 500 + b"}"
        yield b'{"text": "\x00"}' + bytes(chance.randrange(9))
        yield b'{"more": "\\u0000"}'
        yield b'{"more": 1e%d}' % chance.randrange(300, 5000)
        yield b'{"time": %s, "text": 1}' % (b"9" * chance.randrange(20, 5000))
        yield orjson.dumps({"file": chance.choice([1, None, [], {}, "../x"]), "text": chance.choice([1, None, [], {}])})
        yield orjson.dumps(chance.choice([1, None, [], "text", True, [{"text": "t"}]]))
        yield chance.randbytes(chance.randrange(200))
        yield '{"text": "\udfff"}'.encode("utf-8", "surrogatepass")
        yield b"\xef\xbb\xbf" + valid
        yield '{"text": "é"}'.encode("utf-16")
        yield LINES
        yield orjson.dumps({"text": "t" * 1001, "file": "abcd", "time": 0, "x": chance.random()})
        yield b'{"text": "t", "text": "t", "more": NaN}'
        yield b""


def published(chance: random.Random, key: str, queue: str, body: bytes) -> tuple[str, str, bytes, dict[str, Any]]:
    """How one of them is sent: exchange, key, body, properties. Now and then the envelope is what is wrong."""
    good = b'{"text": "t"}' if key == "probe.echo" else b'{"file": "abcd", "time": 0}'
    exchange = "reelmill.jobs"
    if chance.random() < 0.8:
        return exchange, key, body, {}
    versions = [0, 2, -1, "one", 10**9, None, True]
    odd: list[tuple[str, str, bytes, dict[str, Any]]] = [
        (exchange, key, body + b" " * LARGEST_BODY, {}),
        ("", queue, good, {"type": "no.such.kind"}),
        (exchange, key, good, {"headers": {"reelmill-version": chance.choice(versions)}}),
        (exchange, f"{key}.not", good, {}),
        (exchange, key, good, {"message_id": "line\nfeed"}),
        (exchange, key, LINES, {"content_type": "application/x-ndjson"}),
        (exchange, key, body, {"message_id": str(uuid4()), "headers": {"n": {"deep": [b"\xff", None]}}}),
    ]
    return chance.choice(odd)


def parts(key: str, body: bytes, properties: dict[str, Any]) -> list[bytes]:
    """What is parked of a message: of a pack of jobs, which the fast lane reads, every bad line for itself."""
    packed = key == "probe.echo" and properties.get("content_type") == "application/x-ndjson"
    return body.splitlines() if packed else [body]


@pytest.mark.row("X-07")
def test_a_thousand_senseless_messages_stop_nobody(system: System, settings: Settings, database: Engine) -> None:
    declare(settings)
    desk = Desk(settings, database)
    system.start("relay", "analyzer", "dispatcher")
    chance = random.Random(7)
    sent = [
        published(chance, *kind, body)
        for kind, body in islice(zip(cycle(KINDS.items()), bodies(chance), strict=False), NUMBER)
    ]
    with publishing(settings.amqp_url.get_secret_value()) as channel:
        for exchange, key, body, properties in sent:
            channel.basic_publish(exchange, key, body, pika.BasicProperties(delivery_mode=2, **properties))
    echo = uuid4()
    desk.publish("probe.echo", b'{"text": "after all"}', message_id=str(echo))
    # Each is parked over a connection of its own, and a message whose confirmation comes late is parked again.
    desk.until(desk.sleep(0), "succeeded", patience=PARKED_SECONDS)
    assert desk.until(echo, "succeeded", patience=PARKED_SECONDS)["result"]["text"] == "after all"
    expected = Counter(part for _, key, body, properties in sent for part in parts(key, body, properties))
    until(
        lambda: _count(database) >= expected.total() and _recorded(database) >= expected,
        "every one is recorded",
        PARKED_SECONDS,
    )
    assert all(process.poll() is None for process in system.processes.values())
    with database.connect() as connection:
        found = connection.execute(text("select code, resolution from parked")).all()
    assert set(_recorded(database)) == set(expected)
    assert {row.code for row in found} == CODES
    assert {row.resolution for row in found} == {None}
    assert len(desk.jobs()) == 2, "none of them became a job"


def _recorded(engine: Engine) -> Counter[bytes]:
    with engine.connect() as connection:
        return Counter(bytes(body) for body in connection.execute(text("select body from parked")).scalars())


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("select count(*) from parked")).scalar_one())
