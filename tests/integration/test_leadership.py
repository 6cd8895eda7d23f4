"""One leader at a time, and nothing done in its name by one that has lost the lead."""

import asyncio

import pytest
from sqlalchemy import Engine, text

from infra.relay.leadership import Leadership, LostLeadership
from infra.settings import Settings

END_LEADERS = (
    "select pg_terminate_backend(pid, 60000) from pg_stat_activity"
    " where application_name = 'reelmill-relay-leader' and datname = current_database()"
)


@pytest.fixture
def quiet(settings: Settings) -> Settings:
    """Settings with which a leader may say nothing for long."""
    return settings.model_copy(update={"lease_seconds": 600})


def test_the_lock_is_one_and_goes_to_the_next_when_it_is_given_up(quiet: Settings, database: Engine) -> None:
    async def run() -> list[bool]:
        one, two = Leadership(quiet), Leadership(quiet)
        taken = [await one.take(), await two.take()]
        await one.give_up()
        taken += [await two.take(), await one.take()]
        await two.give_up()
        await one.give_up()
        return taken

    assert asyncio.run(run()) == [True, False, True, False]


@pytest.mark.row("X-14")
def test_who_has_lost_the_lead_does_nothing_in_its_name(quiet: Settings, database: Engine) -> None:
    done: list[str] = []

    async def run() -> None:
        one, two = Leadership(quiet), Leadership(quiet)
        assert await one.take()
        await one.run(lambda connection: done.append(str(connection.execute(text("select 'first'")).scalar_one())))
        with database.begin() as connection:
            assert connection.execute(text(END_LEADERS)).scalars().all() == [True]
        assert await two.take()
        with pytest.raises(LostLeadership):
            await one.run(lambda connection: done.append(str(connection.execute(text("select 'no'")).scalar_one())))
        with pytest.raises(LostLeadership):
            await one.run(lambda _: done.append("nor this"))
        assert not await one.take()
        await two.beat()
        await one.give_up()
        await two.give_up()

    asyncio.run(run())
    assert done == ["first"]


def test_a_database_that_is_away_gives_no_lead(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": type(settings.database_url)("postgresql://x@127.0.0.1:1/x")})

    async def run() -> bool:
        return await Leadership(away).take()

    assert asyncio.run(run()) is False
