"""Making the topology on a broker: every exchange, queue and binding that `infra.topology` describes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import amqp
import structlog
from kombu.entity import Exchange, Queue

from infra.broker.connection import connected
from infra.topology import EXCHANGES, QUEUES

REFUSED = (amqp.AccessRefused, amqp.PreconditionFailed, amqp.NotFound)

log = structlog.get_logger()


def declare(amqp_url: str) -> None:
    """Make every exchange, queue and binding of the topology; what is there already is left as it is.

    Raises BrokerAway. Where an operator owns a part of the topology and refuses, his is used, and the rest is made.
    """
    with connected(amqp_url) as connection:
        channel = connection.channel()
        for name, make in _topology():
            try:
                make(channel=channel)
            except REFUSED as error:
                log.warning(
                    "the broker's own topology is used", action="broker.topology_refused", part=name, detail=str(error)
                )
                channel = connection.channel()  # the refusal has closed the other one


def _topology() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each part of the topology: its name, and what makes it on a `channel`."""
    for exchange in EXCHANGES:
        yield f"exchange {exchange.name}", Exchange(exchange.name, exchange.type, arguments=exchange.arguments).declare
    for queue in QUEUES:
        made = Queue(queue.name, queue_arguments=queue.arguments)
        yield f"queue {queue.name}", made.queue_declare
        for key in queue.keys:
            yield f"binding {queue.exchange} {key!r} {queue.name}", partial(made.bind_to, queue.exchange, key)
