"""What the relay does for the fast lane: it packs what it publishes, and misses a message only when none is left."""

import asyncio

import pytest
from sqlalchemy import Engine, text

from infra import submission
from infra.relay.losses import Losses
from infra.relay.wakeups import Wakeups
from infra.settings import Settings
from schemas.wire import PACKED, decode_packed
from tests.broker import Broker, reached
from tests.integration.test_relay_duties import outlet, unmarked
from tests.lane import QUEUE, echo


def waiting(engine: Engine, number: int) -> None:
    """Jobs that nobody has published, too old to be left to the gateway."""
    with engine.begin() as connection:
        submission.submit(connection, [echo(str(n)) for n in range(number)])
        connection.execute(text("update jobs set queued_at = now() - interval '1 minute' where published_at is null"))


def test_jobs_go_out_packed_and_are_marked_one_by_one(settings: Settings, database: Engine) -> None:
    waiting(database, 30)

    async def run() -> None:
        async with outlet(settings) as way_out:
            await Wakeups(database, way_out).publish()
            assert unmarked(database) == 0
            waiting(database, 1)
            await Wakeups(database, way_out).publish()
            with Broker(settings) as broker:
                await reached(lambda: broker.depth(QUEUE) == 2, "both messages are there")
                (_, packed, body), (_, alone, _) = broker.take_all(QUEUE)
        assert packed.content_type == PACKED
        assert {job.params["text"] for _, job in decode_packed(body)} == {str(n) for n in range(30)}  # type: ignore[union-attr]
        assert alone.content_type == "application/json"

    asyncio.run(run())


@pytest.mark.row("X-09")
def test_only_an_empty_queue_has_lost_something(settings: Settings, database: Engine) -> None:
    waiting(database, 30)

    async def run() -> None:
        async with outlet(settings) as way_out:
            await Wakeups(database, way_out).publish()
            with database.begin() as connection:
                connection.execute(text("update jobs set published_at = published_at - interval '1 minute'"))
            way_out.filled = QUEUE
            losses = Losses(settings, database, way_out)
            await losses.find()
            assert unmarked(database) == 0, "one message stands for all of them"
            with Broker(settings) as broker:
                broker.purge(QUEUE)
                way_out.filled = None
                await reached(lambda: broker.depth(QUEUE) == 0, "the queue is empty")
            await losses.find()
            assert unmarked(database) == 30

    asyncio.run(run())
