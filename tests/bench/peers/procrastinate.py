"""Procrastinate: the queue is a table in Postgres; a job is done when its row says so.

Jobs are sent in batches, so that only the worker counts; 20 at once is its best.
"""

import asyncio
import sys

from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]

from tests.bench.peers.addresses import DATABASE

BATCH = 500

app = App(connector=PsycopgConnector(conninfo=DATABASE, min_size=4, max_size=20))


@app.task(queue="bench")  # type: ignore[untyped-decorator]
async def nothing(text: str) -> None:
    """Do nothing."""


async def send(count: int) -> None:
    """Send jobs, a batch in one statement."""
    for first in range(0, count, BATCH):
        await nothing.batch_defer_async(*({"text": "hello"} for _ in range(min(BATCH, count - first))))


async def serve() -> None:
    """For each number that comes in, send that many jobs and say so."""
    async with app.open_async():
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await send(int(line))
            print("sent", flush=True)
