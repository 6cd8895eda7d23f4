"""The one reader of the events in a gateway: shared, bounded, and back by itself."""

import asyncio
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, text

from gateway.problems import Problem
from gateway.tail import KEPT, MOST_LISTENERS, Tail
from infra import events
from tests.broker import reached
from tests.outage import cut_off
from tests.system import PATIENCE


def tell(database: Engine, number: int = 1) -> None:
    """Facts that have their numbers."""
    with database.begin() as connection:
        connection.execute(
            text("insert into events (type, data) select 'a.b', '{}' from generate_series(1, :number)"),
            {"number": number},
        )
        while events.number(connection, 10_000):
            pass


def test_who_is_one_too_many_is_told_so(database: Engine) -> None:
    async def run() -> None:
        tail = Tail(database)
        with ExitStack() as places:
            for _ in range(MOST_LISTENERS):
                tail.require_room()
                places.enter_context(tail.listening())
            with pytest.raises(Problem) as refusal:
                tail.require_room()
            assert (refusal.value.status, refusal.value.code) == (503, "too_many_listeners")
        tail.require_room()

    asyncio.run(run())


def test_what_is_in_memory_is_bounded_and_the_rest_is_not_claimed(database: Engine) -> None:
    async def run() -> None:
        tail = Tail(database)
        tell(database)
        with tail.listening():
            assert tail.after(1, 10) is None  # nothing was read yet
            await reached(lambda: tail.has_nothing_after(1), "the end was found")
            tell(database, 3 * KEPT)
            await reached(lambda: tail.after(3 * KEPT, 1), "everything was read")
            assert tail.after(1, 10) is None
            newest = tail.after(2 * KEPT + 1, 10)
            assert newest is not None
            assert [fact.seq for fact in newest] == list(range(2 * KEPT + 2, 2 * KEPT + 12))
            assert tail.after(3 * KEPT + 1, 10) == ()
        assert tail.after(3 * KEPT + 1, 10) is None  # nobody listens: nothing is read

    asyncio.run(run())


def test_a_database_that_was_away_costs_no_fact(admin: Engine, database: Engine) -> None:
    async def run() -> None:
        tail = Tail(database)
        with tail.listening():
            await reached(lambda: tail.has_nothing_after(0), "the end was found")
            waiting = asyncio.create_task(tail.wait(0, PATIENCE))
            with cut_off(admin, database):
                await asyncio.sleep(0.5)  # long enough to be noticed; how it is noticed does not matter
            await asyncio.to_thread(tell, database)
            await waiting
            [fact] = tail.after(0, 10) or ()
            assert fact.wire.startswith(b'id: 1\ndata: {"seq":1,')

    asyncio.run(run())
