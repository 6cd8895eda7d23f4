"""Consuming from RabbitMQ: the only importer of kombu. A connection that consumes never publishes.

py-amqp re-opens a channel that the broker closed *as the same object*, and delivery tags start at 1 again: a late
acknowledgement would then remove somebody else's message. So a delivery remembers the incarnation it came from, an
acknowledgement for another one is dropped, and after any error the channel and its connection are both thrown away.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import amqp
import structlog
from amqp.exceptions import MessageNacked
from amqp.serialization import dumps
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError

from infra import metrics
from infra.topology import DEAD, EXCHANGES, QUEUES

HEARTBEAT_SECONDS = 30
PATIENCE_SECONDS = 5.0
"""How long the broker may take to answer before its connection counts as lost."""
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
GLANCE_SECONDS = 0.001
CONSUMER_TAG = "reelmill"
KEPT_PROPERTIES = ("message_id", "type", "correlation_id", "content_type", "priority")
KEPT_HEADER_BYTES = 16 * 1024
"""What a parked message keeps of its producer's headers: a frame's size bounds them all, ours included."""
TROUBLE = (amqp.AMQPError, MessageNacked, KombuError, OSError)
UNSENDABLE = (amqp.PreconditionFailed, amqp.FrameError, amqp.FrameSyntaxError, amqp.ContentTooLarge)
REFUSED = (amqp.AccessRefused, amqp.PreconditionFailed, amqp.NotFound)

log = structlog.get_logger()


class BrokerAway(Exception):
    """The broker does not answer, or did not take what it was given: try again later."""


class Unparkable(Exception):
    """The broker is there, but this very message cannot be sent to it: too large, or not writable at all."""


@dataclass(frozen=True)
class Delivery:
    """A message as it came. `tag` has a meaning only within its incarnation of the channel."""

    body: bytes
    routing_key: str
    properties: Mapping[str, Any]
    headers: Mapping[str, Any]
    redelivered: bool = False
    incarnation: int = field(default=0, compare=False)
    tag: int = field(default=0, compare=False)


def declare(amqp_url: str) -> None:
    """Make every exchange, queue and binding of the topology; what is there already is left as it is.

    Raises BrokerAway. Where an operator owns a part of the topology and refuses, his is used, and the rest is made.
    """
    with _connection(amqp_url) as connection:
        channel = connection.channel()
        for name, make in _topology():
            try:
                make(channel=channel)
            except REFUSED as error:
                log.warning(
                    "the broker's own topology is used", action="broker.topology_refused", part=name, detail=str(error)
                )
                channel = connection.channel()  # the refusal has closed the other one


def park(amqp_url: str, delivery: Delivery, queue: str, reason: str) -> None:
    """Put a message that nobody can process where people look at it, with the reason.

    Raises BrokerAway unless the broker has confirmed it, Unparkable when it never will. Its connection lives for this
    message only. Broker-made `x-*` headers are dropped: older brokers act on them when they are sent back.
    """
    told = {"reelmill-reason": reason, "reelmill-queue": queue, "reelmill-routing-key": delivery.routing_key}
    properties = {name: delivery.properties[name] for name in KEPT_PROPERTIES if name in delivery.properties}
    headers = _kept(delivery.headers) | told
    message = amqp.Message(delivery.body, application_headers=headers, delivery_mode=2, **properties)
    with _connection(amqp_url) as connection:
        try:
            connection.channel().basic_publish_confirm(
                message, exchange=DEAD, routing_key=delivery.routing_key, mandatory=True, timeout=PATIENCE_SECONDS
            )
        except TROUBLE as error:
            if isinstance(error, UNSENDABLE):
                raise Unparkable(f"{type(error).__name__}: {error}") from error
            raise
        except Exception as error:  # py-amqp's serialization lets out whatever its values make it stumble over
            raise Unparkable(f"{type(error).__name__}: {error}") from error


class Intake:
    """What comes out of one queue, one message at a time, for as long as it takes: the broker may go and come back.

    Belongs to one thread, which calls `turn` at least every few seconds: nothing else keeps the heartbeat going.
    """

    def __init__(self, amqp_url: str, queue: str) -> None:
        self._url = amqp_url
        self._queue = queue
        self._wire: Any = None
        self._channel: Any = None
        self._incarnation = 0
        self._arrived: deque[Delivery] = deque()
        self._wanted = False
        self._consuming = False
        self._next_try = 0.0
        self._wait = FIRST_WAIT_SECONDS

    @property
    def connected(self) -> bool:
        """Whether there is an open channel."""
        return self._channel is not None

    def due(self) -> float:
        """Seconds until it wants another turn even if nothing arrives: for the next try to connect."""
        return max(self._next_try - time.monotonic(), 0.0) if not self.connected else HEARTBEAT_SECONDS / 4

    def sockets(self) -> list[Any]:
        """What to wait on for new messages; empty while the broker is away."""
        return [self._wire.sock] if self._wire is not None else []

    def resume(self) -> None:
        """Ask for messages, now or as soon as there is a connection."""
        self._wanted = True

    def pause(self) -> None:
        """Ask for no more messages. Sent before any acknowledgement that follows, so none slips in between."""
        self._wanted = False
        if self._consuming:
            self._consuming = False
            self._guarded(lambda: self._channel.basic_cancel(CONSUMER_TAG, nowait=True))

    def turn(self) -> None:
        """Connect if that is due, keep the heartbeat and collect what has arrived. Takes milliseconds, never raises."""
        if not self.connected and time.monotonic() >= self._next_try:
            self._guarded(self._open)
        if self.connected and self._wanted and not self._consuming:
            self._guarded(self._consume)
        if self.connected:
            self._guarded(self._collect)

    def take(self) -> Delivery | None:
        """The next message, if one has arrived."""
        return self._arrived.popleft() if self._arrived else None

    def current(self, delivery: Delivery) -> bool:
        """Whether the broker still takes an answer for this delivery; if not, it delivers the message again."""
        return self.connected and delivery.incarnation == self._incarnation

    def settle(self, delivery: Delivery) -> bool:
        """Acknowledge. False when the delivery is of an earlier incarnation: then nothing is sent."""
        if not self.current(delivery):
            metrics.jobs_stale_acks_dropped_total.inc()
            return False
        return self._guarded(lambda: self._channel.basic_ack(delivery.tag))

    def reject(self, delivery: Delivery) -> bool:
        """Have the broker itself put a message where its queue says. False as for `settle`."""
        return self.current(delivery) and self._guarded(lambda: self._channel.basic_reject(delivery.tag, requeue=False))

    def close(self) -> None:
        """Hang up. What was not acknowledged goes back to its queue."""
        if self._wire is not None:
            self._guarded(self._wire.close)
        self._drop()

    def _open(self) -> None:
        declare(self._url)
        self._wire = _connect(self._url)
        channel = self._wire.channel()
        channel.auto_decode = False  # a producer's content-encoding is not an instruction to us
        channel.basic_qos(0, 1, False)
        self._incarnation += 1
        self._channel = channel
        log.info("connected to the broker", action="broker.connected", queue=self._queue)

    def _consume(self) -> None:
        self._channel.basic_consume(
            self._queue, consumer_tag=CONSUMER_TAG, callback=self._on_message, on_cancel=self._on_cancel
        )
        self._consuming = True

    def _collect(self) -> None:
        self._wire.heartbeat_tick()
        while True:
            try:
                self._wire.drain_events(timeout=GLANCE_SECONDS)
            except TimeoutError:
                self._wait = FIRST_WAIT_SECONDS
                return

    def _on_message(self, message: Any) -> None:
        self._arrived.append(
            Delivery(
                body=bytes(message.body or b""),
                routing_key=str(message.delivery_info["routing_key"]),
                properties={k: v for k, v in message.properties.items() if k != "application_headers"},
                headers=message.headers or {},
                redelivered=bool(message.delivery_info["redelivered"]),
                incarnation=self._incarnation,
                tag=message.delivery_info["delivery_tag"],
            )
        )

    def _on_cancel(self, _: str) -> None:
        raise amqp.ConsumerCancelled("the broker cancelled the consumer: its queue is gone or moves")

    def _guarded(self, work: Callable[[], Any]) -> bool:
        """Do something on the connection; after whatever goes wrong, nothing of it is used again."""
        try:
            work()
        except Exception as error:  # py-amqp lets errors of every kind out when a connection breaks
            self._drop()
            self._next_try = time.monotonic() + self._wait * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            if isinstance(error, TROUBLE):
                self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)
            # Anything else is a message that cannot be decoded at all. Coming back quickly, the broker's delivery
            # limit takes it out of the queue within seconds.
            log.warning("the broker is away", action="broker.away", queue=self._queue, detail=repr(error))
            return False
        return True

    def _drop(self) -> None:
        wire, self._wire, self._channel = self._wire, None, None
        self._consuming = False
        self._arrived.clear()
        if wire is not None:
            wire.collect()


def _topology() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each part of the topology: its name, and what makes it on a `channel`."""
    for exchange in EXCHANGES:
        yield f"exchange {exchange.name}", Exchange(exchange.name, exchange.type, arguments=exchange.arguments).declare
    for queue in QUEUES:
        made = Queue(queue.name, queue_arguments=queue.arguments)
        yield f"queue {queue.name}", made.queue_declare
        for key in queue.keys:
            yield f"binding {queue.exchange} {key!r} {queue.name}", partial(made.bind_to, queue.exchange, key)


def _kept(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The producer's headers, if they are few enough: what comes back too large for a frame is parked by nobody."""
    # A name that is not text comes as bytes.
    own = {k: v for k, v in headers.items() if isinstance(k, str) and not k.lower().startswith("x-")}
    try:
        size = len(dumps("F", [own]))
    except Exception:  # what py-amqp can read it cannot always write
        return {}
    return own if size <= KEPT_HEADER_BYTES else {}


def _connect(amqp_url: str) -> Any:
    """py-amqp's connection. Not kombu's around it: that one, when it breaks, quietly makes a new one, which is deaf."""
    connection = Connection(
        amqp_url,
        heartbeat=HEARTBEAT_SECONDS,
        connect_timeout=PATIENCE_SECONDS,
        # An empty name means the one in the URL, and makes TLS check it.
        ssl={"server_hostname": None} if amqp_url.startswith("amqps:") else False,
    )
    connection.ensure_connection(max_retries=0)
    wire = connection.connection
    # Without it, a broker that hangs would hang us in the middle of a method.
    wire.sock.settimeout(PATIENCE_SECONDS)
    return wire


@contextmanager
def _connection(amqp_url: str) -> Iterator[Any]:
    """A connection for a few methods. Raises BrokerAway for every failure but a refusal."""
    try:
        connection = _connect(amqp_url)
        try:
            yield connection
        finally:
            connection.close()
    except TROUBLE as error:
        raise BrokerAway(f"{type(error).__name__}: {error}") from error
