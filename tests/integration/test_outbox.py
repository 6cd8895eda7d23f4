"""Natural batching on a real database: few transactions, one receipt each, and no broker is needed for any of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError

from infra import db
from infra.ids import new_id
from infra.outbox import Outbox, Overloaded
from infra.publisher import Publisher
from infra.settings import Settings
from infra.submission import Receipt, Verdict
from infra.topology import JOBS, queue_of
from schemas.commands import Command
from schemas.registry import KINDS, Consumer
from schemas.wire import NORMAL_PRIORITY, PackedJob, decode_packed, decode_params, is_packed, queued_at
from tests.broker import Broker, declare, reached
from tests.makers import new_command, new_file
from tests.system import PATIENCE, until

QUEUE = queue_of(Consumer.ANALYZER)
FAST = queue_of(Consumer.DISPATCHER)
DEADLOCK = "40P01"
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    declare(settings)
    with Broker(settings) as broker:
        yield broker


@pytest.fixture
def nowhere(settings: Settings) -> Settings:
    """Settings of a broker that is not there."""
    return settings.model_copy(update={"amqp_url": SecretStr("amqp://guest:guest@127.0.0.1:1/")})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, database: Engine) -> None:
    """Nothing is left undone because it takes long, and who waits for a row waits until the test lets go of it."""
    monkeypatch.setattr("infra.sending.PARTING_SECONDS", PATIENCE)
    monkeypatch.setattr("infra.publisher.FLUSH_SECONDS", PATIENCE)

    def longer(_: Connection, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return statement.replace("lock_timeout = '5s'", f"lock_timeout = '{PATIENCE:g}s'"), parameters

    event.listen(database, "before_cursor_execute", longer, retval=True)


@asynccontextmanager
async def outbox(settings: Settings, engine: Engine, **options: Any) -> AsyncIterator[Outbox]:
    publisher = Publisher(settings, deadline=300)
    await publisher.start()
    if "127.0.0.1:1/" not in settings.amqp_url.get_secret_value():
        await reached(lambda: publisher.connected, "the publisher is connected")
    box = Outbox(engine, publisher, **options)
    await box.start()
    try:
        yield box
    finally:
        await box.stop()
        await publisher.stop()


def count(engine: Engine, condition: str = "true") -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"select count(*) from jobs where {condition}")).scalar_one())


def commands(engine: Engine, number: int, **terms: Any) -> list[Command]:
    file = new_file(engine)
    return [new_command(file, **terms) for _ in range(number)]


def echo(text: str = "x", **terms: Any) -> Command:
    fixed: dict[str, Any] = {"id": new_id(), "submitted_by": "test", "via": "http"}
    return Command(kind=KINDS["probe.echo"], params={"text": text}, inputs=(), **fixed | terms)


def packed(broker: Broker) -> list[tuple[str, dict[str, Any], int]]:
    """What lies in the fast queue: id, parameters and priority of every job, whichever way it is wrapped."""
    found: list[tuple[str, dict[str, Any], int]] = []
    for _, properties, body in broker.take_all(FAST):
        if is_packed(properties.content_type):
            jobs = [job for _, job in decode_packed(body) if isinstance(job, PackedJob)]
            found += [(str(job.id), job.params, job.priority) for job in jobs]
        else:
            priority = properties.priority - NORMAL_PRIORITY
            found.append((properties.message_id, decode_params(body), priority))
    return found


async def submit_all(box: Outbox, wanted: list[Command]) -> list[Receipt | BaseException]:
    return await asyncio.gather(*(box.submit(command) for command in wanted), return_exceptions=True)


@pytest.mark.row("X-04")
def test_concurrent_commands_share_transactions_and_are_published(
    settings: Settings, database: Engine, broker: Broker
) -> None:
    wanted = commands(database, 600)
    commits = Counter[str]()
    event.listen(database, "commit", lambda _: commits.update(["commit"]))

    async def run() -> list[Receipt | BaseException]:
        async with outbox(settings, database, batch=100) as box:
            return await submit_all(box, wanted)

    receipts = asyncio.run(run())
    assert receipts == [Receipt(Verdict.CREATED, command.id, "queued") for command in wanted]
    # 600 commands: six full batches, and for each at most one transaction that marks it as published.
    assert commits["commit"] <= 14
    # What the outbox did not publish because too much was in the air is left to the relay, and says so.
    unpublished = count(database, "published_at is null")
    assert unpublished < 600
    until(lambda: broker.depth(QUEUE) == 600 - unpublished, "the others have their messages")


def test_a_quiet_outbox_publishes_what_it_committed(settings: Settings, database: Engine, broker: Broker) -> None:
    [command] = commands(database, 1, priority=3)

    async def run() -> Receipt:
        async with outbox(settings, database) as box:
            receipt = await box.submit(command)
            await reached(lambda: count(database, "published_at is not null") == 1, "the job is marked")
            return receipt

    receipt = asyncio.run(run())
    _, properties, _ = broker.take(QUEUE)  # type: ignore[misc]
    assert (properties.message_id, properties.type, properties.priority) == (str(command.id), "analyze.sleep", 7)
    assert queued_at(properties.headers) == receipt.queued_at is not None


@pytest.mark.row("X-04", "S1-07")
def test_without_a_broker_every_command_is_committed(nowhere: Settings, database: Engine) -> None:
    wanted = commands(database, 50)

    async def run() -> list[Receipt | BaseException]:
        async with outbox(nowhere, database) as box:
            return await submit_all(box, wanted)

    assert {r.verdict for r in asyncio.run(run()) if isinstance(r, Receipt)} == {Verdict.CREATED}
    assert count(database, "state = 'queued' and published_at is null") == 50


def test_one_command_that_the_database_refuses_spoils_no_other(nowhere: Settings, database: Engine) -> None:
    wanted = commands(database, 40)
    file = wanted[0].inputs[0].sha256
    orphan = new_command(file, parent_id=uuid4())  # the foreign key refuses it
    unwritable = new_command(file, unique_key="a\0b")  # the driver does
    wanted[7:7] = [orphan]
    wanted[23:23] = [unwritable]

    async def run() -> list[Receipt | BaseException]:
        async with outbox(nowhere, database) as box:
            return await submit_all(box, wanted)

    answers = dict(zip((c.id for c in wanted), asyncio.run(run()), strict=True))
    assert isinstance(answers.pop(orphan.id), db.REFUSED)
    assert isinstance(answers.pop(unwritable.id), Exception)
    assert {a.verdict for a in answers.values() if isinstance(a, Receipt)} == {Verdict.CREATED}
    assert count(database) == len(answers) == 40


def test_a_database_that_is_away_is_told_to_every_caller(nowhere: Settings, database: Engine) -> None:
    away = db.connect("postgresql://nobody@127.0.0.1:1/none")
    wanted = commands(database, 20)

    async def run() -> list[Receipt | BaseException]:
        async with outbox(nowhere, away) as box:
            return await submit_all(box, wanted)

    answers = asyncio.run(run())
    assert len(answers) == 20
    assert all(isinstance(answer, db.AWAY) for answer in answers)


def waiting_for_a_lock(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.execute(text(WAITING)).scalar_one())


def test_the_queue_is_bounded_and_nothing_accepted_is_lost(nowhere: Settings, database: Engine) -> None:
    first, *others = commands(database, 6)

    async def run() -> list[Any]:
        async with outbox(nowhere, database, limit=5) as box:
            with database.begin() as blocker:
                blocker.execute(text("select from blobs for update"))
                tasks = [asyncio.create_task(box.submit(first))]
                await reached(lambda: waiting_for_a_lock(database), "the first flush waits for the row")
                tasks += [asyncio.create_task(box.submit(command)) for command in others]
                await asyncio.sleep(0)
                with pytest.raises(Overloaded):
                    await box.submit(first)
            return await asyncio.gather(*tasks)

    assert [receipt.verdict for receipt in asyncio.run(run())] == [Verdict.CREATED] * 6


def test_stopping_commits_and_publishes_what_was_accepted(settings: Settings, database: Engine, broker: Broker) -> None:
    wanted = commands(database, 120)

    async def run() -> list[Receipt | BaseException]:
        async with outbox(settings, database, batch=50) as box:
            tasks = asyncio.gather(*(box.submit(command) for command in wanted), return_exceptions=True)
            await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await box.submit(wanted[0])
        return await tasks

    assert {r.verdict for r in asyncio.run(run()) if isinstance(r, Receipt)} == {Verdict.CREATED}
    assert count(database, "published_at is not null") == 120
    until(lambda: broker.depth(QUEUE) == 120, "all have their messages")


def test_a_caller_that_goes_away_spoils_nothing(nowhere: Settings, database: Engine) -> None:
    first, gone, last = commands(database, 3)

    async def run() -> Receipt:
        async with outbox(nowhere, database) as box:
            impatient = asyncio.create_task(box.submit(gone))
            await asyncio.sleep(0)
            impatient.cancel()
            await box.submit(first)
            return await box.submit(last)

    assert asyncio.run(run()).verdict is Verdict.CREATED
    assert count(database) == 3


def test_the_victim_of_a_deadlock_tries_again(nowhere: Settings, database: Engine) -> None:
    one, two = sorted([new_file(database, b"one"), new_file(database, b"two")])
    row = text("select from blobs where sha256 = :sha256 for update")

    async def refused(box: Outbox) -> bool:
        """Have a circle closed; whether the flush was the one to be refused."""
        with database.connect() as rival:  # whatever it has is free when it leaves
            rival.execute(row, {"sha256": two})
            submitted = asyncio.create_task(submit_all(box, [new_command(one), new_command(two)]))
            await reached(lambda: waiting_for_a_lock(database), "the flush holds the first and waits for the second")
            try:
                await asyncio.to_thread(rival.execute, row, {"sha256": one})
                given_way = True
            except OperationalError as error:
                if getattr(error.orig, "pgcode", None) != DEADLOCK:
                    raise
                given_way = False
        assert [getattr(a, "verdict", a) for a in await submitted] == [Verdict.CREATED] * 2
        return given_way

    async def run() -> None:
        async with outbox(nowhere, database) as box:
            # Whoever waited first finds out first: the flush, unless the circle closes a second after it began to.
            for _ in range(100):
                if await refused(box):
                    return
        pytest.fail("the flush was never refused")

    asyncio.run(run())


UNLUCKY = """
create sequence times;
create function refuse() returns trigger language plpgsql as $$ begin
    if nextval('times') <= 3 then raise exception 'a victim again' using errcode = 'deadlock_detected'; end if;
    return new;
end $$;
create trigger unlucky before insert on jobs for each statement execute function refuse()
"""


def test_whoever_is_the_victim_again_and_again_tries_as_often(nowhere: Settings, database: Engine) -> None:
    """It may come before the one it gave way to, and the same circle closes once more."""
    with database.begin() as connection:
        connection.execute(text(UNLUCKY))

    async def run() -> list[Receipt | BaseException]:
        async with outbox(nowhere, database) as box:
            return await submit_all(box, commands(database, 2))

    assert [getattr(a, "verdict", a) for a in asyncio.run(run())] == [Verdict.CREATED] * 2


def test_fast_jobs_go_out_packed_and_are_not_marked_afterwards(
    settings: Settings, database: Engine, broker: Broker
) -> None:
    wanted = [echo(str(n), priority=n % 3) for n in range(700)]
    wanted[5] = echo("x" * 262_100)  # too long for a line, so it goes alone
    marks = Counter[str]()
    event.listen(
        database,
        "before_cursor_execute",
        lambda _, __, statement, *___: marks.update(["mark"]) if "set published_at" in statement else None,
    )

    async def run() -> None:
        async with outbox(settings, database) as box:
            alone = await box.submit(echo("alone"))
            assert alone.state == "queued"
            receipts = await box.submit_many(wanted)
            assert receipts == [Receipt(Verdict.CREATED, command.id, "queued") for command in wanted]

    asyncio.run(run())
    assert count(database, "published_at is null") == marks["mark"] == 0
    # One alone, a pack before the one that is too long, that one, two packs.
    until(lambda: broker.depth(FAST) == 5, "the messages are there")
    sent = packed(broker)
    assert sent[0][1] == {"text": "alone"}
    assert sorted(sent[1:]) == sorted((str(c.id), c.params, c.priority) for c in wanted)


def test_fast_jobs_are_left_to_the_relay_while_the_broker_is_away(nowhere: Settings, database: Engine) -> None:
    async def run() -> None:
        async with outbox(nowhere, database) as box:
            await box.submit_many([echo() for _ in range(10)])

    asyncio.run(run())
    assert count(database, "state = 'queued' and published_at is null") == 10


@pytest.mark.row("X-03", "X-04")
def test_what_a_full_queue_refuses_is_unpublished_again(settings: Settings, database: Engine, broker: Broker) -> None:
    broker.delete(FAST)
    limits = {"x_max_length": 1, "x_overflow": "reject-publish"}
    broker.queue(FAST, JOBS, "probe.echo", **limits)
    heard: list[tuple[Consumer, bool]] = []

    async def run() -> None:
        async with outbox(settings, database, heard=lambda consumer, taken: heard.append((consumer, taken))) as box:
            while (Consumer.DISPATCHER, False) not in heard:
                before = len(heard)
                await box.submit_many([echo(), echo()])
                # Behind too many that a slow broker has not answered, those that follow are not even sent.
                await reached(lambda before=before: len(heard) > before, "the broker has answered")  # type: ignore[misc]

    asyncio.run(run())
    refused = heard.count((Consumer.DISPATCHER, False))
    until(lambda: count(database, "published_at is null") == 2 * refused, "the refused ones are told")
    assert len(packed(broker)) == count(database, "published_at is not null") == 2 * (len(heard) - refused)


def test_groups_and_single_commands_take_turns(nowhere: Settings, database: Engine) -> None:
    async def run() -> list[int]:
        done: list[int] = []
        async with outbox(nowhere, database) as box:

            async def group(number: int) -> None:
                await box.submit_many([echo() for _ in range(200)])
                done.append(number)

            groups = [asyncio.create_task(group(number)) for number in range(5)]
            await asyncio.sleep(0)
            await box.submit(echo())
            done.append(-1)
            await asyncio.gather(*groups)
        return done

    done = asyncio.run(run())
    assert done.index(-1) <= 2
    assert [number for number in done if number >= 0] == [0, 1, 2, 3, 4]
