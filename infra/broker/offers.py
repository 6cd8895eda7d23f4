"""Items on their way into the queues of their collections, where consumers take them without asking."""

from typing import NamedTuple

import amqp

from infra.broker.connection import PATIENCE_SECONDS
from infra.broker.outgoing import Outgoing
from infra.topology import items_queue

PERSISTENT = 2


class Offer(NamedTuple):
    """An item for a collection's queue, where it lives for so long. `name` tells it from others."""

    collection: str
    name: str
    body: bytes
    seconds: float


class Offers(Outgoing):
    """Puts items into queues; the broker confirms them when it comes to it. Belongs to one thread."""

    def __init__(self, amqp_url: str) -> None:
        super().__init__(amqp_url)
        self._declared: set[str] = set()
        self._sent = 0
        self._unconfirmed: dict[int, Offer] = {}
        """By the number of the message on its channel."""
        self._refused: list[Offer] = []

    def send(self, offer: Offer) -> None:
        """Put an item into its collection's queue. If that fails, it is among the refused, now or later."""
        if self._wire is None or not self._guarded(lambda: self._send(offer)):
            self._refused.append(offer)

    def refused(self) -> list[Offer]:
        """What the broker has not taken, as far as we know, since this was asked last."""
        refused, self._refused = self._refused, []
        return refused

    def close(self) -> None:
        """Hang up, once everything has been confirmed: a queue may drop what is not when its channel closes."""
        if self._wire is not None:
            self._guarded(self._await_confirms)
        super().close()

    def _open(self) -> None:
        super()._open()
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._declared.clear()
        self._sent = 0

    def _drop(self) -> None:
        self._refused += self._unconfirmed.values()
        self._unconfirmed.clear()
        super()._drop()

    def _send(self, offer: Offer) -> None:
        queue = items_queue(offer.collection)
        if queue.name not in self._declared:
            self._channel.queue_declare(queue.name, durable=True, auto_delete=False, arguments=queue.arguments)
            self._declared.add(queue.name)
        message = amqp.Message(
            offer.body,
            content_type="application/json",
            delivery_mode=PERSISTENT,
            message_id=offer.name,
            expiration=str(round(offer.seconds * 1000)),
        )
        self._channel.basic_publish(message, exchange="", routing_key=queue.name)
        self._sent += 1
        self._unconfirmed[self._sent] = offer

    def _await_confirms(self) -> None:
        while self._unconfirmed:
            self._wire.drain_events(timeout=PATIENCE_SECONDS)

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._refused += self._settle(tag, multiple)

    def _settle(self, tag: int, multiple: bool) -> list[Offer]:
        tags = [sent for sent in self._unconfirmed if sent <= tag] if multiple else [tag]
        return [self._unconfirmed.pop(sent) for sent in tags if sent in self._unconfirmed]
