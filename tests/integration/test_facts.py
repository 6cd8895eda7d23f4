"""Facts: written with what they tell, numbered without a gap, published in order, and only where somebody listens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import Engine, text

from infra import claims, db, events, files, jobs, steps, submission
from infra.publisher import Confirmation, Publisher
from infra.relay.facts import Facts
from infra.relay.leadership import Leadership
from infra.relay.outlet import Outlet
from infra.settings import Settings
from infra.steps import Checkpoint
from infra.topology import EVENTS
from schemas.wire import Message
from tests.broker import Broker, declare, reached
from tests.makers import UNPUBLISHED, new_command, new_file, stored

CANCELLED = "job.analyze.sleep.cancelled"


class Watched(Outlet):
    """The way out, with what was sent; binds a queue after the first sending if it is told to."""

    def __init__(self, settings: Settings, publisher: Publisher, binding: Broker | None = None) -> None:
        super().__init__(settings, publisher)
        self.sent: list[str] = []
        self._binding = binding

    async def publish(self, exchange: str, messages: Sequence[Message], mandatory: bool = True) -> list[Confirmation]:
        """Send, and note the types."""
        fates = await super().publish(exchange, messages, mandatory)
        self.sent += [message.type for message in messages]
        if self._binding is not None:
            self._binding.queue("test.late", EVENTS, "#")
            self._binding = None
        return fates


@asynccontextmanager
async def leading(
    settings: Settings, database: Engine, binding: Broker | None = None
) -> AsyncIterator[tuple[Facts, Watched, Publisher]]:
    publisher = Publisher(settings, deadline=300)
    # Nobody beats for it here.
    leadership = Leadership(settings.model_copy(update={"lease_seconds": 600}))
    await publisher.start()
    await reached(lambda: publisher.connected, "the publisher is connected")
    assert await leadership.take()
    outlet = Watched(settings, publisher, binding)
    assert await outlet.open()
    try:
        yield Facts(database, leadership, outlet), outlet, publisher
    finally:
        await leadership.give_up()
        await publisher.stop()


async def publish_all(facts: Facts) -> None:
    while await facts.publish():
        pass


def submit(database: Engine, number: int) -> list[UUID]:
    commands = [new_command(new_file(database)) for _ in range(number)]
    with database.begin() as connection:
        submission.submit(connection, commands)
    return [command.id for command in commands]


def cancel(database: Engine, job_ids: Sequence[UUID]) -> None:
    for job_id in job_ids:
        with database.begin() as connection:
            assert jobs.cancel(connection, job_id)


def count(database: Engine, query: str) -> int:
    with database.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def numbers(broker: Broker, queue: str) -> list[int]:
    return [orjson.loads(body)["seq"] for _, _, body in broker.take_all(queue)]


def facts_of(database: Engine, kind: str) -> list[dict[str, Any]]:
    with database.connect() as connection:
        found = connection.execute(text("select * from events where type = :type order by id"), {"type": kind})
        return [dict(row) for row in found.mappings()]


def number_all(database: Engine) -> None:
    with database.begin() as connection:
        while events.number(connection, 1000):
            pass


@pytest.mark.row("X-04", "X-14")
def test_events_of_unknown_fate_are_kept_and_published_again(settings: Settings, database: Engine) -> None:
    async def run() -> None:
        async with leading(settings, database) as (facts, _, publisher):
            with Broker(settings) as broker:
                broker.delete_exchange(EVENTS)
                submit(database, 10)
                await facts.publish()
                assert count(database, UNPUBLISHED) == 11  # one tells of the file
                await reached(lambda: publisher.connected, "a new channel")
                declare(settings)
                broker.queue("test.events", EVENTS, "#")
                await publish_all(facts)
                assert count(database, UNPUBLISHED) == 0
                assert numbers(broker, "test.events") == list(range(1, 12))

    asyncio.run(run())


@pytest.mark.row("X-14")
def test_what_nobody_listens_to_is_asked_for_once_and_not_sent(settings: Settings, database: Engine) -> None:
    async def run() -> None:
        async with leading(settings, database) as (facts, outlet, _):
            with Broker(settings) as broker:
                broker.queue("test.some", EVENTS, "job.*.*.cancelled")
                cancel(database, submit(database, 20))
                await publish_all(facts)
                assert count(database, UNPUBLISHED) == 0
                assert numbers(broker, "test.some") == list(range(22, 42))
            unheard = [kind for kind in outlet.sent if kind != CANCELLED]
            # In the second batch, which begins after the first of the cancelled ones, nothing else is left.
            assert unheard == ["file.created", "job.analyze.sleep.queued"]
            assert outlet.sent.count(CANCELLED) == 20

    asyncio.run(run())


@pytest.mark.row("X-14")
def test_who_begins_to_listen_in_the_middle_of_a_batch_misses_nothing_after_his_first(
    settings: Settings, database: Engine
) -> None:
    with Broker(settings) as broker:
        for _ in range(2):
            cancel(database, submit(database, 3)[:1])

        async def run() -> None:
            async with leading(settings, database, binding=broker) as (facts, _, _):
                await publish_all(facts)

        asyncio.run(run())
        # 1 the file, 2 to 4 queued, 5 cancelled, 6 to 8 queued, 9 cancelled. Bound after 1 and 2 had been returned.
        assert numbers(broker, "test.late") == [5, 6, 7, 8, 9]


@pytest.mark.row("X-14")
def test_who_stops_listening_costs_nothing_from_the_next_batch_on(settings: Settings, database: Engine) -> None:
    async def run() -> None:
        async with leading(settings, database) as (facts, outlet, _):
            with Broker(settings) as broker:
                broker.queue("test.some", EVENTS, "#")
                submit(database, 5)
                await publish_all(facts)
                broker.delete("test.some")
                for _ in range(2):
                    outlet.sent.clear()
                    submit(database, 5)
                    await publish_all(facts)
            assert outlet.sent == ["job.analyze.sleep.queued"]

    asyncio.run(run())


def test_numbers_go_on_when_retention_left_no_event(database: Engine) -> None:
    submit(database, 3)
    number_all(database)
    with database.begin() as connection:
        events.mark(connection, 4)
        assert events.retire(connection, 3600, 10) == 0  # too young
        assert events.retire(connection, 0, 10) == 4
    submit(database, 1)
    number_all(database)
    with database.begin() as connection:
        assert events.span(connection) == events.Span(retired=4, head=5)
        assert events.retire(connection, 0, 10) == 0  # the exchange has not had it


def test_numbering_and_reading_look_at_nothing_but_what_they_need(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("insert into events (type, data) select 'a.b', '{}' from generate_series(1, 20000)"))
    number_all(database)
    with database.begin() as connection:
        connection.execute(text("insert into events (type, data) select 'a.b', '{}' from generate_series(1, 100)"))
        plans: dict[str, dict[str, Any]] = {
            "number": {"batch": 50},
            "unpublished": {"heard": [], "batch": 50},
            "span": {},
            "reach": {"since": 5, "looks": 50},
            "page": {"since": 5, "reach": 55, "types": None, "limit": 50, "tenant": ""},
            "lag": {},
        }
        for query, values in plans.items():
            plan = connection.execute(text(f"explain {db.sql(f'events.{query}').text}"), values).scalars().all()
            assert not [line for line in plan if "Seq Scan on events" in line], query


@pytest.mark.row("X-14")
def test_a_job_tells_once_what_it_has_made_and_just_before_its_end(database: Engine) -> None:
    [job] = submit(database, 1)
    parts = tuple(stored(bytes([n]), f"frames/{n:03}.jpg") for n in range(120))
    with database.begin() as connection:
        held = claims.claim(connection, job, "w", 60)
        assert held is not None
        assert steps.checkpoint(connection, job, held.token, Checkpoint("part", 0, {}, parts))
        assert facts_of(database, "artifact.created") == []
        claims.succeed(connection, held, {}, [stored(b"whole", "manifest.json")])
    [fact] = facts_of(database, "artifact.created")
    told = fact["data"]
    assert (fact["job_id"], told["kind"], told["count"], told["bytes"]) == (job, "analyze.sleep", 121, 125)
    assert [output["name"] for output in told["outputs"][:2]] == ["manifest.json", "frames/000.jpg"]
    assert len(told["outputs"]) == events.SHOWN
    with database.connect() as connection:
        assert [row["type"] for row in jobs.timeline(connection, job)][-2:] == [
            "artifact.created",
            "job.analyze.sleep.succeeded",
        ]


def test_a_file_tells_when_it_comes_and_when_it_goes(database: Engine) -> None:
    sha256 = new_file(database, b"a")
    new_file(database, b"a")
    with database.begin() as connection:
        assert files.delete(connection, sha256)
    [came], [went] = facts_of(database, "file.created"), facts_of(database, "file.deleted")
    assert came["data"] == went["data"]
    assert (came["data"]["sha256"], came["data"]["size"], came["data"]["name"]) == (sha256, 1, "a.bin")
