"""Answers on their way back, over a connection of their own, and whether anybody was there to hear them.

No flag of the message tells: brokers before 4 call every direct reply unroutable. The reply's name, looked up as if it
were a queue, does.
"""

import amqp

from infra.broker.delivery import Delivery
from infra.broker.outgoing import Outgoing

ECHOED = ("correlation_id",)


class Replies(Outgoing):
    """Sends answers to whoever asked. Belongs to one thread."""

    def send(self, question: Delivery, status: int, body: bytes) -> bool:
        """Send an answer to a question that wants one. False when it was not sent."""
        return self._wire is not None and self._guarded(lambda: self._send(question, status, body))

    def heard(self, reply_to: str) -> bool:
        """Whether the one who waits there is there still, so that he got what was sent before. True when unknown.

        A queue that another connection has for itself, a usual way to wait for replies, is refused to us: it is there.
        """
        gone = False

        def look() -> None:
            nonlocal gone
            try:
                self._channel.queue_declare(reply_to, passive=True)
            except (amqp.NotFound, amqp.ResourceLocked, amqp.AccessRefused) as error:
                gone = isinstance(error, amqp.NotFound)
                self._channel = self._wire.channel()  # the answer has closed the other one

        if self._wire is not None:
            self._guarded(look)
        return not gone

    def _send(self, question: Delivery, status: int, body: bytes) -> None:
        known = {name: question.properties[name] for name in ECHOED if name in question.properties}
        message = amqp.Message(body, content_type="application/json", type=str(status), delivery_mode=1, **known)
        self._channel.basic_publish(message, exchange="", routing_key=question.properties["reply_to"])
