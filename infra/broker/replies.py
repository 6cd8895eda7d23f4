"""Answers on their way back, over a connection of their own, and whether anybody was there to hear them.

No flag of the message tells: brokers before 4 call every direct reply unroutable. The reply's name, looked up as if it
were a queue, does.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import amqp
import structlog

from infra.broker import frames
from infra.broker.connection import HEARTBEAT_SECONDS, TROUBLE, connect
from infra.broker.delivery import Delivery

LONGEST_WAIT_SECONDS = 5.0
ECHOED = ("correlation_id",)

log = structlog.get_logger()


class Replies:
    """Sends answers to whoever asked. Belongs to one thread."""

    def __init__(self, amqp_url: str) -> None:
        self._url = amqp_url
        self._wire: Any = None
        self._channel: Any = None
        self._next_try = 0.0
        self._wait = 0.1

    def turn(self) -> bool:
        """Connect if that is due, keep the heartbeat. Whether an answer would be sent now."""
        if self._wire is None and time.monotonic() >= self._next_try:
            self._guarded(self._open)
        elif self._wire is not None:
            self._guarded(self._hear)
        return self._wire is not None

    def send(self, question: Delivery, status: int, body: bytes) -> bool:
        """Send an answer to a question that wants one. False when it was not sent."""
        return self._wire is not None and self._guarded(lambda: self._send(question, status, body))

    def heard(self, reply_to: str) -> bool:
        """Whether the one who waits there is there still, so that he got what was sent before. True when unknown."""
        gone = False

        def look() -> None:
            nonlocal gone
            try:
                self._channel.queue_declare(reply_to, passive=True)
            except amqp.NotFound:
                gone = True
                self._channel = self._wire.channel()  # the answer has closed the other one

        if self._wire is not None:
            self._guarded(look)
        return not gone

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._guarded(self._wire.close)
        self._drop()

    def due(self) -> float:
        """Seconds until it wants another turn."""
        return HEARTBEAT_SECONDS / 4 if self._wire is not None else max(self._next_try - time.monotonic(), 0.0)

    def _open(self) -> None:
        self._wire = connect(self._url)
        self._channel = self._wire.channel()
        self._wait = 0.1

    def _hear(self) -> None:
        self._wire.heartbeat_tick()
        frames.read(self._wire)

    def _send(self, question: Delivery, status: int, body: bytes) -> None:
        known = {name: question.properties[name] for name in ECHOED if name in question.properties}
        message = amqp.Message(body, content_type="application/json", type=str(status), delivery_mode=1, **known)
        self._channel.basic_publish(message, exchange="", routing_key=question.properties["reply_to"])

    def _guarded(self, work: Callable[[], Any]) -> bool:
        try:
            work()
        except Exception as error:  # py-amqp lets errors of every kind out when a connection breaks
            self._drop()
            self._next_try = time.monotonic() + self._wait * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
            if isinstance(error, TROUBLE):
                self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)
            log.warning("answers cannot be sent", action="broker.no_replies", detail=repr(error))
            return False
        return True

    def _drop(self) -> None:
        wire, self._wire, self._channel = self._wire, None, None
        if wire is not None:
            wire.collect()
