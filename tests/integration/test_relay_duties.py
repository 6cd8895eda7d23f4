"""Single duties of the relay, step by step in this process, where a whole relay would be too quick to watch."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from infra import claims, db, jobs, submission
from infra.claims import Claim
from infra.publisher import Publisher
from infra.relay.losses import Losses
from infra.relay.outlet import Outlet
from infra.relay.wakeups import Wakeups
from infra.settings import Settings
from infra.topology import queue_of
from schemas.registry import Consumer
from tests.broker import Broker, reached
from tests.makers import new_command, new_file
from tests.system import PATIENCE

QUEUE = queue_of(Consumer.ANALYZER)


def submit(engine: Engine, number: int) -> None:
    file = new_file(engine)
    with engine.begin() as connection:
        submission.submit(connection, [new_command(file) for _ in range(number)])


def count(engine: Engine, query: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def unmarked(engine: Engine) -> int:
    return count(engine, "select count(*) from jobs where published_at is null")


class Sure(Outlet):
    """Asks again where the test knows that there are messages: of a busy queue the broker may say that it is empty."""

    filled: str | None = None

    async def depth(self, queue: str) -> int | None:
        """As the broker says, but not 0 for the queue that is filled."""
        async with asyncio.timeout(PATIENCE):
            while (answer := await super().depth(queue)) == 0 and queue == self.filled:
                await asyncio.sleep(0.02)
        return answer


@asynccontextmanager
async def outlet(settings: Settings) -> AsyncIterator[Sure]:
    publisher = Publisher(settings, deadline=300)
    await publisher.start()
    await reached(lambda: publisher.connected, "the publisher is connected")
    try:
        yield Sure(settings, publisher)
    finally:
        await publisher.stop()


@pytest.mark.parametrize(("depth", "missing"), [(9, 0), (8, 0), (6, 2), (5, 3), (1, 6), (0, 6)])
def test_only_as_many_jobs_are_forgotten_as_messages_are_missing(database: Engine, depth: int, missing: int) -> None:
    submit(database, 9)
    with database.begin() as connection:
        ages = (
            "from (select id, row_number() over (order by id) as n from jobs) as numbered where numbered.id = jobs.id"
        )
        connection.execute(text(f"update jobs set published_at = now() - interval '1 minute' {ages} and n <= 6"))
        # Two of a moment ago count, since their messages do; but they may be on their way and are nobody's loss.
        connection.execute(text(f"update jobs set published_at = now() {ages} and n in (7, 8)"))
        # One was published after the moment of the depth, which may not hold its message yet.
        connection.execute(text(f"update jobs set published_at = now() + interval '1 second' {ages} and n = 9"))
        moment = db.row(connection, "outbox.now")
        assert moment is not None
        forgotten = db.run(
            connection, "outbox.forget", consumer="analyzer", moment=moment["moment"], age=30, depth=depth, batch=100
        )
    assert forgotten == unmarked(database) == missing


def test_a_loss_shows_behind_a_steady_backlog(settings: Settings, database: Engine) -> None:
    submit(database, 6)
    with database.begin() as connection:  # too old to be left to the gateway
        connection.execute(text("update jobs set queued_at = queued_at - interval '1 minute'"))
    older = "published_at = published_at - interval '1 minute'"

    async def run() -> None:
        async with outlet(settings) as way_out:
            await Wakeups(database, way_out).publish()
            assert unmarked(database) == 0
            with database.begin() as connection:
                connection.execute(text(f"update jobs set {older} where id in (select id from jobs limit 4)"))
            way_out.filled = QUEUE
            losses = Losses(settings, database, way_out)
            await losses.find()
            assert unmarked(database) == 0
            with Broker(settings) as broker:
                broker.take(QUEUE)
                await reached(lambda: broker.depth(QUEUE) == 5, "one message is gone")
            await losses.find()
            assert unmarked(database) == 1

    asyncio.run(run())


def hand_back(database: Engine, held: Claim) -> None:
    with database.begin() as connection:
        assert claims.release(connection, held) == "queued"


def take_away(database: Engine, held: Claim) -> None:
    with database.begin() as connection:
        connection.execute(text("update jobs set lease_until = now() - interval '1 second'"))
        assert claims.rescue(connection, 10) == {"queued": 1}


def try_again(database: Engine, held: Claim) -> None:
    with database.begin() as connection:
        assert claims.retry(connection, held, "broken", "It broke.") == "scheduled"
        connection.execute(text("update jobs set run_at = now()"))
    with database.begin() as connection:
        assert db.run(connection, "outbox.promote", batch=10) == 1


def ask_again(database: Engine, held: Claim) -> None:
    with database.begin() as connection:
        assert claims.fail(connection, held, "broken", "It broke.") == "failed"
    with database.begin() as connection:
        assert jobs.retry(connection, held.id)


@pytest.mark.parametrize("queue_again", [hand_back, take_away, try_again, ask_again])
def test_a_late_mark_does_not_hide_the_next_queueing(
    database: Engine, queue_again: Callable[[Engine, Claim], None]
) -> None:
    submit(database, 1)
    with database.begin() as connection:
        first = connection.execute(text("select id, queued_at from jobs")).one()
        held = claims.claim(connection, first.id, "w", 60)
        assert held is not None
    queue_again(database, held)
    assert _mark(database, first.id, first.queued_at) == 0
    assert unmarked(database) == 1
    with database.connect() as connection:
        second = connection.execute(text("select queued_at from jobs")).scalar_one()
    assert _mark(database, first.id, second) == 1
    assert unmarked(database) == 0


def _mark(database: Engine, job_id: UUID, queued_at: datetime) -> int:
    with database.begin() as connection:
        return db.run(connection, "outbox.mark", ids=[job_id], queued_at=[queued_at])
