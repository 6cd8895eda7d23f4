"""What comes out of one queue, and the answers to it.

py-amqp re-opens a channel that the broker closed *as the same object*, and delivery tags start at 1 again: a late
acknowledgement would then remove somebody else's message. So a delivery remembers the incarnation it came from, an
acknowledgement for another one is dropped, and after any error the channel and its connection are both thrown away.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import amqp
import structlog

from infra import metrics
from infra.broker import frames
from infra.broker.connection import HEARTBEAT_SECONDS, connect
from infra.broker.declaration import declare
from infra.broker.delivery import Delivery
from infra.broker.patience import Patience
from infra.broker.tags import Tags

CONSUMER_TAG = "reelmill"

log = structlog.get_logger()


class Intake:
    """The messages of one queue, for as long as it takes: the broker may go and come back.

    At most `prefetch` of them wait for their answer. Belongs to one thread, which calls `turn` at least every few
    seconds: nothing else keeps the heartbeat going.
    """

    def __init__(self, amqp_url: str, queue: str, prefetch: int = 1) -> None:
        self._url = amqp_url
        self._queue = queue
        self._prefetch = prefetch
        self._wire: Any = None
        self._channel: Any = None
        self._tags = Tags()
        self._incarnation = 0
        self._arrived: deque[Delivery] = deque()
        self._wanted = False
        self._consuming = False
        self._heard = time.monotonic()
        self._patience = Patience()

    @property
    def connected(self) -> bool:
        """Whether there is an open channel."""
        return self._channel is not None

    @property
    def pending(self) -> int:
        """Messages that have arrived and that nobody has taken."""
        return len(self._arrived)

    def deaf_seconds(self) -> float:
        """How long it has wanted messages of a broker that answers, and was no consumer of its queue all the same."""
        return time.monotonic() - self._heard

    def due(self) -> float:
        """Seconds until it wants another turn even if nothing arrives: for the next try to connect."""
        return self._patience.left() if not self.connected else HEARTBEAT_SECONDS / 4

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
        if not self.connected and not self._patience.left() and not self._guarded(self._open):
            self._heard = time.monotonic()  # there is nobody to listen to
        if self.connected and self._wanted and not self._consuming:
            self._guarded(self._consume)
        if self.connected:
            self._guarded(self._collect)
        if self._consuming or not self._wanted:
            self._heard = time.monotonic()

    def take(self) -> Delivery | None:
        """The next message, if one has arrived."""
        return self._arrived.popleft() if self._arrived else None

    def take_all(self, limit: int) -> list[Delivery]:
        """The next messages, as many as have arrived and at most `limit`, in their order."""
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def current(self, delivery: Delivery) -> bool:
        """Whether the broker still takes an answer for this delivery; if not, it delivers the message again."""
        return self.connected and delivery.incarnation == self._incarnation

    def settle(self, delivery: Delivery) -> bool:
        """Acknowledge. False when the delivery is of an earlier incarnation: then nothing is sent."""
        return self.settle_all([delivery]) == 1

    def settle_all(self, deliveries: Sequence[Delivery]) -> int:
        """Acknowledge these and no others, with one frame where they leave no gap. Returns for how many it was sent."""
        tags = [delivery.tag for delivery in deliveries if self.current(delivery)]
        metrics.jobs_stale_acks_dropped_total.inc(len(deliveries) - len(tags))
        return len(tags) if tags and self._guarded(lambda: self._acknowledge(tags)) else 0

    def reject(self, delivery: Delivery) -> bool:
        """Have the broker itself put a message where its queue says. False as for `settle`."""
        return self.current(delivery) and self._guarded(lambda: self._reject(delivery.tag))

    def close(self) -> None:
        """Hang up. What was not acknowledged goes back to its queue."""
        if self._wire is not None:
            self._guarded(self._wire.close)
        self._drop()

    def _open(self) -> None:
        declare(self._url)
        self._wire = connect(self._url)
        channel = self._wire.channel()
        channel.auto_decode = False  # a producer's content-encoding is not an instruction to us
        channel.basic_qos(0, self._prefetch, False)
        self._incarnation += 1
        self._tags = Tags()
        self._channel = channel
        log.info("connected to the broker", action="broker.connected", queue=self._queue)

    def _consume(self) -> None:
        self._channel.basic_consume(
            self._queue, consumer_tag=CONSUMER_TAG, callback=self._on_message, on_cancel=self._on_cancel
        )
        self._consuming = True

    def _collect(self) -> None:
        self._wire.heartbeat_tick()
        frames.read(self._wire)
        self._patience.heard()

    def _acknowledge(self, tags: Sequence[int]) -> None:
        reached, beyond = self._tags.answer(tags)
        if reached:
            self._channel.basic_ack(reached, multiple=True)
        for tag in beyond:
            self._channel.basic_ack(tag)

    def _reject(self, tag: int) -> None:
        self._tags.answer([tag])
        self._channel.basic_reject(tag, requeue=False)

    def _on_message(self, message: Any) -> None:
        properties, info = message.properties, message.delivery_info
        headers = properties.pop("application_headers", None) or {}
        self._arrived.append(
            Delivery(
                body=message.body or b"",
                routing_key=info["routing_key"],
                properties=properties,
                headers=headers,
                redelivered=info["redelivered"],
                incarnation=self._incarnation,
                tag=info["delivery_tag"],
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
            self._patience.failed(error)
            # Anything else is ours or py-amqp's mistake about one message: coming back quickly, the broker's delivery
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
