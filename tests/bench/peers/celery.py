"""Celery: late acknowledgement, confirmed publishing, a quorum queue, results in Postgres.

Its worker's CPU is the limit: more processes, another pool or a faster producer do not help.
"""

from celery import Celery  # type: ignore[import-not-found]

from tests.bench.obedience import obey
from tests.bench.peers.addresses import AMQP, DATABASE

app = Celery("bench", broker=AMQP, backend=DATABASE.replace("postgresql://", "db+postgresql+psycopg2://"))
app.conf.update(
    task_acks_late=True,
    task_default_queue_type="quorum",
    task_default_queue="bench",
    broker_transport_options={"confirm_publish": True},
    worker_prefetch_multiplier=50,
    database_engine_options={"pool_pre_ping": False},
    worker_send_task_events=False,
)


@app.task  # type: ignore[untyped-decorator]
def nothing(text: str) -> str:
    """Answer with the same text."""
    return text


def send(count: int) -> None:
    """Send jobs one after the other: its client waits for each confirmation."""
    for _ in range(count):
        nothing.delay("hello")


def serve() -> None:
    """Send as many as it is told to, again and again."""
    obey(send)
