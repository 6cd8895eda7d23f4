"""Dramatiq: confirmed publishing to its durable queue, and a completion row from each job.

Its client waits for each confirmation, so that several threads send. More worker threads or processes do not help.
"""

from concurrent.futures import ThreadPoolExecutor

import dramatiq  # type: ignore[import-not-found]
from dramatiq.brokers.rabbitmq import RabbitmqBroker  # type: ignore[import-not-found]
from dramatiq.middleware import CurrentMessage  # type: ignore[import-not-found]

from tests.bench.obedience import obey
from tests.bench.peers.addresses import AMQP
from tests.bench.peers.completions import complete

THREADS = 4

broker = RabbitmqBroker(url=AMQP, confirm_delivery=True)
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="bench")  # type: ignore[untyped-decorator]
def nothing(text: str) -> None:
    """Write the row."""
    complete(CurrentMessage.get_current_message().message_id)


def serve() -> None:
    """Send as many as it is told to, again and again."""
    with ThreadPoolExecutor(THREADS) as pool:

        def send(count: int) -> None:
            for _ in pool.map(nothing.send, ["hello"] * count):
                pass

        obey(send)
