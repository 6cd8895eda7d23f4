"""Getting rid of a message that nobody can process, whatever it is made of: it must not hold up those behind it.

With the reason, if it can be sent to where people look; else the broker moves it there by itself, without one.
"""

import structlog

from consumers.runtime.foreign import Unprocessable
from infra import broker
from infra.broker import BrokerAway, Delivery, Intake

TRIES = 3

log = structlog.get_logger()


class Parking:
    """Parks what came from one queue."""

    def __init__(self, amqp_url: str, queue: str, intake: Intake) -> None:
        self._amqp_url = amqp_url
        self._queue = queue
        self._intake = intake
        self._failed: Delivery | None = None
        self._failures = 0

    def park(self, delivery: Delivery, problem: Unprocessable) -> bool:
        """Whether the message is off our hands; if not, try again later. Raises BrokerAway, which counts as no try."""
        try:
            broker.park(self._amqp_url, delivery, self._queue, f"{problem.code}: {problem.detail}")
        except BrokerAway:
            raise
        except Exception as error:
            log.error("a message cannot be parked", action="message.unparkable", exc_info=error)
            return self._give_up(delivery)
        self._intake.settle(delivery)
        return True

    def _give_up(self, delivery: Delivery) -> bool:
        """After a few tries, leave the message to the broker."""
        self._failures = self._failures + 1 if delivery is self._failed else 1
        self._failed = delivery
        if self._failures < TRIES:
            return False
        self._failed = None
        self._intake.reject(delivery)
        return True
