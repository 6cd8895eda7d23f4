"""Questions to the dispatcher on a real broker: how those of many callers share messages, and who gets which answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from infra.ids import new_name
from infra.questions import NoAnswer, Questions, Told
from infra.settings import Settings
from infra.topology import LEASES
from schemas.bundles import orders_of, replied
from schemas.leases import ORDER, Order
from tests.broker import Broker, declare, reached

Asking = asyncio.Task[Told]


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    """The queue of those who hand out items; the test is the one who does."""
    declare(settings)
    with Broker(settings) as broker:
        broker.subscribe(LEASES)
        yield broker


def order(worker: str) -> Order:
    about = {"op": "acquire", "collection": "c", "owner": "test", "request_id": new_name()}
    return ORDER.validate_python(about | {"worker": worker})


@asynccontextmanager
async def questions(settings: Settings) -> AsyncIterator[Questions]:
    asked = Questions(settings)
    await asked.start()
    try:
        yield asked
    finally:
        await asked.stop()


async def ask(asked: Questions, *workers: str) -> list[Asking]:
    """Have these ask in one turn of the loop; returns when all that goes at once has gone."""
    tasks = [asyncio.create_task(asked.ask(order(worker))) for worker in workers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def message(broker: Broker) -> Any:
    """The next message that arrives."""
    found: list[Any] = []

    def look() -> bool:
        found.extend(filter(None, [broker.arrived()]))
        return bool(found)

    await reached(look, "a message is in the queue")
    return found[0]


def workers_in(question: Any) -> list[str]:
    return [ORDER.validate_json(each).worker for each in orders_of(question[2])]  # type: ignore[union-attr]


def answer(broker: Broker, question: Any) -> None:
    """To each his own name."""
    broker.answer(question, 200, replied([(200, worker.encode()) for worker in workers_in(question)]))


def test_messages_come_to_be_of_like_size(settings: Settings, broker: Broker) -> None:
    patient = settings.model_copy(update={"lease_wait_seconds": 600})

    async def run() -> list[Told]:
        async with questions(patient) as asked:
            await reached(lambda: asked.connected, "the channel is open")
            tasks = await ask(asked, "a")
            first = await message(broker)
            tasks += await ask(asked, "b")
            second = await message(broker)
            assert (workers_in(first), workers_in(second)) == (["a"], ["b"])
            tasks += await ask(asked, "c", "d", "e", "f")  # two are under way
            answer(broker, first)
            third = await message(broker)
            assert workers_in(third) == ["c", "d", "e", "f"]
            answer(broker, second)
            assert (await tasks[1]).body == b"b"
            tasks += await ask(asked, "g")  # beside four, one does not go
            tasks += await ask(asked, "h")
            fourth = await message(broker)
            assert workers_in(fourth) == ["g", "h"]
            answer(broker, fourth)
            assert (await tasks[-1]).body == b"h"
            tasks += await ask(asked, "i")
            answer(broker, third)
            fifth = await message(broker)  # alone, anything goes
            assert workers_in(fifth) == ["i"]
            answer(broker, fifth)
            return await asyncio.gather(*tasks)

    told = asyncio.run(run())
    assert [(each.status, each.body.decode()) for each in told] == [(200, worker) for worker in "abcdefghi"]


def test_who_gets_no_answer_is_told_in_time_and_what_he_may_have_taken_is_asked_back(
    settings: Settings, broker: Broker
) -> None:
    hurried = settings.model_copy(update={"lease_wait_seconds": 0.5})

    async def run() -> None:
        async with questions(hurried) as asked:
            await reached(lambda: asked.connected, "the channel is open")
            [lone] = await ask(asked, "a")
            first = await message(broker)
            with pytest.raises(NoAnswer):
                await lone
            said = ORDER.validate_json((await message(broker))[2])
            assert said.op == "abandon"
            # It comes after all, from one who has not heard of that, or has not heard of it yet.
            answer(broker, first)
            assert ORDER.validate_json((await message(broker))[2]) == said
            # Whoever may ask the same again may have got the same by now: nothing is taken from him.
            asking = asyncio.create_task(asked.ask(order("b"), comes_again=True))
            named = await message(broker)
            with pytest.raises(NoAnswer):
                await asking
            gone = await message(broker)
            assert ORDER.validate_json(gone[2]).op == "abandon"
            answer(broker, named)
            # Where that cannot be done now it is said again; what came too late says nothing more before it.
            broker.answer(gone, 200, replied([(503, b"{}")]))
            assert (await message(broker))[2] == gone[2]

    asyncio.run(run())


def test_an_answer_that_comes_twice_is_heard_once(settings: Settings, broker: Broker) -> None:
    async def run() -> tuple[list[Told], list[dict[str, Any]]]:
        broken: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
        async with questions(settings) as asked:
            await reached(lambda: asked.connected, "the channel is open")
            told = []
            for worker in "ab":
                [asking] = await ask(asked, worker)
                question = await message(broker)
                answer(broker, question)
                answer(broker, question)
                told.append(await asking)
            return told, broken

    told, broken = asyncio.run(run())
    assert ([each.body for each in told], broken) == ([b"a", b"b"], [])
