"""The only importer of pika: a connection and its confirmed channel, with callbacks turned into futures.

One object of each class is one incarnation: it ends and is never reused. When to open the next is the publisher's
business, and so is everything that a caller sees.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.spec import Basic, BasicProperties

from infra import metrics
from infra.confirms import Confirmation, Confirms
from schemas.bundles import BUNDLE
from schemas.wire import NORMAL_PRIORITY, Message

T = TypeVar("T")

CLOSE_SECONDS = 5.0
HEARTBEAT_SECONDS = 15
PERSISTENT = 2
NOT_FOUND = 404
REPLY_TO = "amq.rabbitmq.reply-to"


class BrokerAway(Exception):
    """There is no connection to the broker, or it does not answer."""


class Link:
    """One connection. `closed` is done when it has ended, whichever way. `url` is amqp://user:password@host/vhost."""

    def __init__(self, url: str, name: str) -> None:
        loop = asyncio.get_running_loop()
        self.blocked = False
        self.closed: asyncio.Future[BaseException] = loop.create_future()
        self._opened: asyncio.Future[Any] = loop.create_future()
        self._connection = AsyncioConnection(
            _parameters(url, name),
            on_open_callback=_resolve(self._opened),
            on_open_error_callback=self._on_close,
            on_close_callback=self._on_close,
        )
        self._connection.add_on_connection_blocked_callback(lambda *_: self._block(True))
        self._connection.add_on_connection_unblocked_callback(lambda *_: self._block(False))

    async def opened(self) -> None:
        """Wait for the handshake. Raises BrokerAway."""
        await _either(self._opened, self.closed)

    async def line(self, settled: Callable[[], None]) -> "Line":
        """Open a confirmed channel. Raises BrokerAway."""
        with _translated():
            line = Line(await self._channel(), settled)
            await _either(line.ready, line.closed)
            return line

    async def questions(self, heard: Callable[[str, int, bytes], None], lost: Callable[[str], None]) -> "Questions":
        """Open a channel for questions that are answered. Raises BrokerAway."""
        with _translated():
            questions = Questions(await self._channel(), heard, lost)
            await _either(questions.ready, questions.closed)
            return questions

    async def depth(self, queue: str) -> int | None:
        """Messages that are ready in a queue; None when there is no such queue. Raises BrokerAway."""
        # On a channel of its own: the broker closes it when there is no such queue.
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        closed: asyncio.Future[Exception] = loop.create_future()
        with _translated():
            channel = await self._channel()
            channel.add_on_close_callback(lambda _, reason: _resolve(closed)(reason))
            channel.queue_declare(queue, passive=True, callback=_resolve(answer))
            try:
                await asyncio.wait({answer, closed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if channel.is_open:
                    channel.close()
        if answer.done():
            return int(answer.result().method.message_count)
        reason = closed.result()
        if isinstance(reason, ChannelClosedByBroker) and reason.reply_code == NOT_FOUND:
            return None
        raise BrokerAway(str(reason))

    async def close(self) -> None:
        """Close whatever state the connection is in, within a bounded time."""
        if not (self._connection.is_closed or self._connection.is_closing):
            self._connection.close()
        await asyncio.wait({self.closed}, timeout=CLOSE_SECONDS)

    async def _channel(self) -> Any:
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._connection.channel(on_open_callback=_resolve(opened))
        return await _either(opened, self.closed)

    def _on_close(self, _: Any, reason: BaseException) -> None:
        self._block(False)
        _resolve(self.closed)(reason)

    def _block(self, blocked: bool) -> None:
        self.blocked = blocked
        metrics.jobs_broker_blocked.set(int(blocked))


class Line:
    """One confirmed channel: delivery tags mean nothing to any other. `settled` is called once per message sent."""

    def __init__(self, channel: Any, settled: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.confirms = Confirms(settled)
        self.closed: asyncio.Future[Exception] = loop.create_future()
        self.ready: asyncio.Future[Any] = loop.create_future()
        self._channel = channel
        channel.add_on_close_callback(self._on_close)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=_resolve(self.ready))

    def send(self, exchange: str, message: Message, mandatory: bool) -> asyncio.Future[Confirmation]:
        """Write a persistent message; its fate comes later. Raises BrokerAway, with nothing written."""
        with _translated():
            self._channel.basic_publish(
                exchange, message.routing_key, message.body, _properties(message), mandatory=mandatory
            )
        return self.confirms.sent((exchange, message.routing_key, message.message_id))

    def _on_confirm(self, frame: Any) -> None:
        accepted = isinstance(frame.method, Basic.Ack)
        self.confirms.confirmed(frame.method.delivery_tag, frame.method.multiple, accepted)

    def _on_return(self, _: Any, method: Any, properties: BasicProperties, __: bytes) -> None:
        self.confirms.returned((method.exchange, method.routing_key, properties.message_id))

    def _on_close(self, _: Any, reason: Exception) -> None:
        self.confirms.abandon()
        _resolve(self.closed)(reason)


class Questions:
    """One channel on which questions go out and their answers come in, by direct reply-to.

    `heard` is told each answer: whose it is, its status, its body. `lost` is told of questions that no queue took.
    """

    def __init__(self, channel: Any, heard: Callable[[str, int, bytes], None], lost: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[Exception] = loop.create_future()
        self.ready: asyncio.Future[Any] = loop.create_future()
        self._channel = channel
        self._heard = heard
        self._lost = lost
        channel.add_on_close_callback(lambda _, reason: _resolve(self.closed)(reason))
        channel.add_on_return_callback(self._on_return)
        channel.basic_consume(REPLY_TO, self._on_answer, auto_ack=True, callback=_resolve(self.ready))

    def ask(self, queue: str, name: str, body: bytes, seconds: float | None) -> None:
        """Send a bundle straight to a queue; it is gone after `seconds`. Raises BrokerAway, with nothing written."""
        properties = BasicProperties(
            content_type=BUNDLE,
            correlation_id=name,
            message_id=name,
            reply_to=REPLY_TO,
            expiration=str(round(seconds * 1000)) if seconds is not None else None,
        )
        with _translated():
            self._channel.basic_publish("", queue, body, properties, mandatory=True)

    def _on_answer(self, _: Any, __: Any, properties: BasicProperties, body: bytes) -> None:
        status = properties.type or ""
        self._heard(properties.correlation_id or "", int(status) if status.isdigit() else 500, body)

    def _on_return(self, _: Any, __: Any, properties: BasicProperties, ___: bytes) -> None:
        self._lost(properties.correlation_id or "")


def _resolve(future: asyncio.Future[T]) -> Callable[[T], None]:
    """A callback that tolerates a future nobody waits for any more: an error in a callback would break pika."""
    return lambda value: None if future.done() else future.set_result(value)


async def _either(answer: asyncio.Future[T], end: asyncio.Future[Any]) -> T:
    """The answer, or BrokerAway when the end came first."""
    await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
    if answer.done():
        return answer.result()
    raise BrokerAway(str(end.result()) or type(end.result()).__name__)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AMQPError as error:
        raise BrokerAway(str(error) or type(error).__name__) from error


def _parameters(url: str, name: str) -> pika.URLParameters:
    parameters = pika.URLParameters(url)
    parameters.client_properties = {"connection_name": name}
    parameters.heartbeat = HEARTBEAT_SECONDS
    parameters.connection_attempts = 1  # the publisher's loop is the only one that tries again
    return parameters


def _properties(message: Message) -> BasicProperties:
    return BasicProperties(
        content_type=message.content_type,
        delivery_mode=PERSISTENT,
        headers=dict(message.headers),
        message_id=message.message_id,
        type=message.type,
        priority=NORMAL_PRIORITY + message.priority,
        correlation_id=message.correlation_id,
    )
