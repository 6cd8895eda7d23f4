"""TaskIQ on aio-pika: a durable quorum queue, confirmed publishing, and a completion row from each job.

One worker process is the fastest here; two share the same cores.
"""

import asyncio
import sys

from psycopg_pool import AsyncConnectionPool  # type: ignore[import-not-found]
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState  # type: ignore[import-not-found]
from taskiq_aio_pika import AioPikaBroker  # type: ignore[import-not-found]

from tests.bench.peers.addresses import AMQP, DATABASE
from tests.bench.peers.completions import INSERT

IN_FLIGHT = 100
CONNECTIONS = 8

broker = AioPikaBroker(AMQP, qos=IN_FLIGHT)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)  # type: ignore[untyped-decorator]
async def open_pool(state: TaskiqState) -> None:
    """Connect to the database."""
    state.pool = AsyncConnectionPool(
        DATABASE, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, kwargs={"autocommit": True}
    )
    await state.pool.open(wait=True)


@broker.task  # type: ignore[untyped-decorator]
async def nothing(text: str, context: Context = TaskiqDepends()) -> None:  # noqa: B008 - its way to ask for it
    """Write the row."""
    async with context.state.pool.connection() as connection:
        await connection.execute(INSERT, (context.message.task_id,))


async def send(count: int) -> None:
    """Send jobs, a hundred at a time."""
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        async with room:
            await nothing.kiq("hello")

    await asyncio.gather(*(one() for _ in range(count)))


async def serve() -> None:
    """For each number that comes in, send that many jobs and say so."""
    await broker.startup()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await send(int(line))
        print("sent", flush=True)
    await broker.shutdown()
