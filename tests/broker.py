"""The broker as a test sees it: queues of its own to look into, by a plain blocking connection."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from infra import broker as declaring
from infra.settings import Settings
from tests.system import PATIENCE, until


def declare(settings: Settings) -> None:
    """Make the topology, however long the broker takes: the product gives it five seconds, and then comes again."""

    def declared() -> bool:
        try:
            declaring.declare(settings.amqp_url.get_secret_value())
        except declaring.BrokerAway:
            return False
        return True

    until(declared, "the topology is there")


def parameters(amqp_url: str) -> pika.URLParameters:
    """Of a connection that a test may look away from for long, and a busy broker too."""
    found = pika.URLParameters(amqp_url)
    found.heartbeat = 0
    found.socket_timeout = found.stack_timeout = PATIENCE
    return found


class Broker:
    """A connection for looking and tampering. Leave the `with` block to close it."""

    def __init__(self, settings: Settings) -> None:
        self._connection = pika.BlockingConnection(parameters(settings.amqp_url.get_secret_value()))
        self._channel: Any = self._connection.channel()
        self._arrived: deque[Any] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(AMQPError):  # the test may have taken the broker away
            self._connection.close()

    def exchange(self, name: str, **options: Any) -> None:
        """Declare a topic exchange."""
        self._channel.exchange_declare(name, "topic", durable=True, **options)

    def queue(self, name: str, exchange: str, key: str = "#", **arguments: Any) -> None:
        """Declare a durable quorum queue (or what the arguments say, `x_` for `x-`) bound to an exchange."""
        given = {"x-queue-type": "quorum"} | {k.replace("_", "-"): v for k, v in arguments.items()}
        self._channel.queue_declare(name, durable=True, arguments=given)
        self._channel.queue_bind(name, exchange, key)

    def depth(self, name: str) -> int:
        """Messages ready in a queue; -1 when there is no such queue. Of a busy quorum queue the broker may say 0."""
        try:
            return int(self._channel.queue_declare(name, passive=True).method.message_count)
        except ChannelClosedByBroker:
            self._channel = self._connection.channel()
            return -1

    def take(self, name: str) -> Any | None:
        """Take one message for good: `(method, properties, body)`."""
        method, properties, body = self._channel.basic_get(name, auto_ack=True)
        return (method, properties, body) if method is not None else None

    def subscribe(self, name: str) -> None:
        """From now on the messages of a queue come here as they arrive, so that none waits until it expires."""
        self._channel.basic_consume(name, lambda _, *message: self._arrived.append(message), auto_ack=True)

    def arrived(self) -> Any | None:
        """The next message of a queue that is subscribed to, as from `take`."""
        self._connection.process_data_events(0)
        return self._arrived.popleft() if self._arrived else None

    def answer(self, question: Any, status: int, body: bytes) -> None:
        """Answer a question that was taken."""
        _, asked, _ = question
        known = pika.BasicProperties(type=str(status), correlation_id=asked.correlation_id)
        self._channel.basic_publish("", asked.reply_to, body, known)

    def take_all(self, name: str) -> list[Any]:
        """Take every message that is there."""
        taken = []
        while (message := self.take(name)) is not None:
            taken.append(message)
        return taken

    def purge(self, name: str) -> None:
        """Lose every message of a queue."""
        self._channel.queue_purge(name)

    def delete_exchange(self, name: str) -> None:
        """Lose an exchange with its bindings."""
        self._channel.exchange_delete(name)

    def delete(self, name: str) -> None:
        """Lose a queue."""
        self._channel.queue_delete(name)


@contextmanager
def publishing(amqp_url: str) -> Iterator[Any]:
    """A channel on which every message is confirmed.

    A quorum queue may still drop the last unconfirmed messages of a channel that closes: three of 160 times, when a
    thousand were published on a busy machine and the channel was closed at once.
    """
    with pika.BlockingConnection(parameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


async def reached(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """Poll on the running loop until a condition holds. Fails the test, naming `what`, when it never does."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain: {what}")
        await asyncio.sleep(0.02)
