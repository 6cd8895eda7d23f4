"""Items on their way into the queues of their collections, where consumers take them without asking."""

import amqp

from infra.broker.outgoing import Outgoing
from infra.topology import items_queue

PERSISTENT = 2


class Offers(Outgoing):
    """Puts items into queues. Belongs to one thread."""

    def send(self, collection: str, name: str, body: bytes, seconds: float) -> bool:
        """Put an item into its collection's queue, where it lives for so long. False when it was not sent."""
        return self._wire is not None and self._guarded(lambda: self._send(collection, name, body, seconds))

    def _open(self) -> None:
        super()._open()
        self._declared: set[str] = set()

    def _send(self, collection: str, name: str, body: bytes, seconds: float) -> None:
        queue = items_queue(collection)
        if queue.name not in self._declared:
            self._channel.queue_declare(queue.name, durable=True, auto_delete=False, arguments=queue.arguments)
            self._declared.add(queue.name)
        message = amqp.Message(
            body,
            content_type="application/json",
            delivery_mode=PERSISTENT,
            message_id=name,
            expiration=str(round(seconds * 1000)),
        )
        self._channel.basic_publish(message, exchange="", routing_key=queue.name)
