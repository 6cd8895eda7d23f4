"""Publishing to a real broker: every message has a fate, whatever happens to the broker, and nothing hangs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from infra.publisher import BrokerAway, Confirmation, Publisher
from infra.settings import Settings
from infra.stack import Stack
from schemas.wire import Message
from tests.broker import Broker, reached
from tests.system import PATIENCE, until

EXCHANGE = "test.topic"
QUEUE = "test.queue"
ACKED, NACKED, RETURNED = Confirmation.ACKED, Confirmation.NACKED, Confirmation.RETURNED
UNKNOWN, UNAVAILABLE = Confirmation.UNKNOWN, Confirmation.UNAVAILABLE


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    """A topic exchange with one quorum queue that takes the key `here`."""
    with Broker(settings) as broker:
        broker.exchange(EXCHANGE)
        broker.queue(QUEUE, EXCHANGE, "here")
        yield broker


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in flight is waited for, however long it takes."""
    monkeypatch.setattr("infra.publisher.FLUSH_SECONDS", PATIENCE)


def message(number: int, key: str = "here") -> Message:
    return Message(routing_key=key, body=b"{}", message_id=str(number), type=key, headers={"a": "b"})


@asynccontextmanager
async def publishing(settings: Settings, deadline: float = 300, **options: Any) -> AsyncIterator[Publisher]:
    publisher = Publisher(settings, deadline=deadline, **options)
    await publisher.start()
    try:
        await reached(lambda: publisher.connected, "the publisher is connected")
        yield publisher
    finally:
        await publisher.stop()


def until_there(broker: Broker, number: int, queue: str = QUEUE) -> None:
    """Of a busy queue the broker may say at first that it is empty."""
    until(lambda: broker.depth(queue) == number, f"{number} messages are there")


async def publish_many(publisher: Publisher, numbers: range, exchange: str = EXCHANGE) -> list[Confirmation]:
    return await asyncio.gather(*(publisher.publish(exchange, message(n)) for n in numbers))


def test_five_thousand_in_flight_are_all_confirmed(settings: Settings, broker: Broker) -> None:
    async def run() -> list[Confirmation]:
        async with publishing(settings) as publisher:
            return await publish_many(publisher, range(5000))

    assert Counter(asyncio.run(run())) == {ACKED: 5000}
    until_there(broker, 5000)


def test_a_message_arrives_whole_and_persistent(settings: Settings, broker: Broker) -> None:
    sent = Message("here", b'{"x":1}', "id-1", "kind", priority=3, correlation_id="c", headers={"traceparent": "t"})

    async def run() -> Confirmation:
        async with publishing(settings) as publisher:
            return await publisher.publish(EXCHANGE, sent)

    assert asyncio.run(run()) is ACKED
    _, properties, body = broker.take(QUEUE)  # type: ignore[misc]
    assert body == sent.body
    assert (properties.message_id, properties.type, properties.correlation_id) == ("id-1", "kind", "c")
    assert (properties.delivery_mode, properties.priority, properties.content_type) == (2, 7, "application/json")
    assert properties.headers["traceparent"] == "t"


@pytest.mark.parametrize(("priority", "on_the_wire"), [(0, 4), (1, 5), (9, 13)])
def test_no_priority_is_the_brokers_own_default(
    settings: Settings, broker: Broker, priority: int, on_the_wire: int
) -> None:
    sent = Message("here", b"{}", "id-1", "kind", priority=priority)

    async def run() -> Confirmation:
        async with publishing(settings) as publisher:
            return await publisher.publish(EXCHANGE, sent)

    assert asyncio.run(run()) is ACKED
    _, properties, _ = broker.take(QUEUE)  # type: ignore[misc]
    assert properties.priority == on_the_wire


def test_unroutable_messages_come_back_each_on_its_own(settings: Settings, broker: Broker) -> None:
    async def run() -> list[Confirmation]:
        async with publishing(settings) as publisher:
            keys = ["here" if n % 3 else "nowhere" for n in range(600)]
            # Equal ids on purpose: the return of one must not mark the other.
            return await asyncio.gather(
                *(publisher.publish(EXCHANGE, message(n // 3, key)) for n, key in enumerate(keys))
            )

    fates = asyncio.run(run())
    assert fates == [ACKED if n % 3 else RETURNED for n in range(600)]
    until_there(broker, 400)


def test_without_mandatory_an_unroutable_message_is_simply_confirmed(settings: Settings, broker: Broker) -> None:
    async def run() -> Confirmation:
        async with publishing(settings) as publisher:
            return await publisher.publish(EXCHANGE, message(1, "nowhere"), mandatory=False)

    assert asyncio.run(run()) is ACKED


def test_a_missing_exchange_costs_the_channel_and_no_more(settings: Settings, broker: Broker) -> None:
    async def run() -> tuple[Confirmation, list[Confirmation]]:
        async with publishing(settings) as publisher:
            before = publisher.incarnation
            lost = await publisher.publish("no.such.exchange", message(1))
            await reached(lambda: publisher.incarnation > before and publisher.connected, "a new channel")
            return lost, await publish_many(publisher, range(50))

    lost, after = asyncio.run(run())
    assert lost is UNKNOWN
    assert Counter(after) == {ACKED: 50}


def test_what_is_in_flight_when_the_channel_dies_is_unknown(settings: Settings, broker: Broker) -> None:
    async def run() -> list[Confirmation]:
        async with publishing(settings) as publisher:
            good, bad = message(1), message(2)
            return await asyncio.gather(
                *(publisher.publish("no.such.exchange" if n == 100 else EXCHANGE, bad if n == 100 else good)
                  for n in range(200))
            )  # fmt: skip

    fates = asyncio.run(run())
    assert fates[100] is UNKNOWN
    assert set(fates) <= {ACKED, UNKNOWN, UNAVAILABLE}
    # The broker took nothing after the bad one: none of those may claim to be confirmed.
    assert ACKED not in fates[101:]
    assert broker.depth(QUEUE) <= 100


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_full_queue_refuses_and_every_message_is_accounted_for(settings: Settings, broker: Broker, kind: str) -> None:
    limits: dict[str, Any] = {"x_queue_type": kind, "x_max_length": 10, "x_overflow": "reject-publish"}
    broker.queue("test.full", EXCHANGE, "full", **limits)

    async def run() -> list[Confirmation]:
        async with publishing(settings, window=50) as publisher:
            return await asyncio.gather(*(publisher.publish(EXCHANGE, message(n, "full")) for n in range(500)))

    fates = Counter(asyncio.run(run()))
    assert fates[ACKED] + fates[NACKED] == 500
    assert fates[NACKED] > 0
    until_there(broker, fates[ACKED], "test.full")


@pytest.mark.row("X-04")
def test_the_broker_goes_away_and_comes_back(settings: Settings, broker: Broker, stack: Stack) -> None:
    fates: Counter[Confirmation] = Counter()

    async def keep_publishing(publisher: Publisher, done: asyncio.Event) -> None:
        number = 0
        while not done.is_set():
            fates.update(await publish_many(publisher, range(number, number + 100)))
            number += 100
            await asyncio.sleep(0)

    async def run() -> None:
        async with publishing(settings) as publisher:
            done = asyncio.Event()
            stream = asyncio.create_task(keep_publishing(publisher, done))
            await reached(lambda: fates[ACKED] >= 500, "messages flow")
            try:
                await asyncio.to_thread(stack.rabbitmqctl, "stop_app")
                await reached(lambda: not publisher.connected, "it sees that the broker is away")
                assert await publisher.publish(EXCHANGE, message(0)) is UNAVAILABLE
                with pytest.raises(BrokerAway):
                    await publisher.depth(QUEUE)
            finally:
                await asyncio.to_thread(stack.rabbitmqctl, "start_app")
            before = fates[ACKED]
            await reached(lambda: fates[ACKED] > before, "messages flow again")
            done.set()
            await stream

    asyncio.run(run())
    assert fates[NACKED] == fates[RETURNED] == 0
    with Broker(settings) as after:
        # A confirmed message survived; an unknown one may have.
        until(lambda: after.depth(QUEUE) >= fates[ACKED], "every confirmed message is there")


def test_an_alarm_blocks_publishing_but_nobody_hangs(
    settings: Settings, broker: Broker, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> list[Confirmation]:
        async with publishing(settings, deadline=2) as publisher:
            sent: list[Confirmation] = []
            try:
                await asyncio.to_thread(stack.rabbitmqctl, "set_vm_memory_high_watermark", "0.00001")
                while not publisher.blocked:  # a connection may hear of the alarm later than whoever has raised it
                    sent.append(await publisher.publish(EXCHANGE, message(len(sent))))
                refused = await publisher.publish(EXCHANGE, message(-1))
            finally:
                await asyncio.to_thread(stack.rabbitmqctl, "set_vm_memory_high_watermark", "0.4")
            await reached(lambda: not publisher.blocked, "the broker reads again")
            monkeypatch.setattr(publisher, "_deadline", PATIENCE)
            return [*sent, refused, await publisher.publish(EXCHANGE, message(-2))]

    *before, unknown, refused, after = asyncio.run(run())
    assert (unknown, refused, after) == (UNKNOWN, UNAVAILABLE, ACKED)
    until_there(broker, len(before) + 2)  # the unknown one did arrive in the end


def test_a_broker_that_was_never_there_refuses_at_once(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"amqp_url": type(settings.amqp_url)("amqp://guest:guest@127.0.0.1:1/")})

    async def run() -> list[Confirmation]:
        publisher = Publisher(nowhere)
        await publisher.start()
        fates = await publish_many(publisher, range(10))
        await publisher.stop()
        return fates

    assert Counter(asyncio.run(run())) == {UNAVAILABLE: 10}


def test_stopping_waits_for_what_is_in_flight(settings: Settings, broker: Broker) -> None:
    async def run() -> list[Confirmation]:
        async with publishing(settings) as publisher:
            flight = asyncio.gather(*(publisher.publish(EXCHANGE, message(n)) for n in range(300)))
            await asyncio.sleep(0)
        return await flight

    assert Counter(asyncio.run(run())) == {ACKED: 300}


async def depth(publisher: Publisher, queue: str) -> int | None:
    """The answer that is not 0: so the broker says of a busy queue."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await publisher.depth(queue)) == 0:
            await asyncio.sleep(0.02)
    return answer


def test_the_depth_of_a_queue(settings: Settings, broker: Broker) -> None:
    async def run() -> list[int | None]:
        async with publishing(settings) as publisher:
            await publish_many(publisher, range(7))
            return [await depth(publisher, name) for name in (QUEUE, "no.such.queue", QUEUE)]

    assert asyncio.run(run()) == [7, None, 7]
