"""The fast lane is killed and cut off in the middle of a batch: every job in it is done once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, text

from consumers.runtime.fast import loop
from infra import db, submission
from infra.broker import Intake
from infra.settings import Settings
from infra.stack import Stack
from infra.topology import DEAD
from schemas.wire import Message, PackedJob, job_message, packed_messages
from tests.broker import Broker, declare
from tests.chaos.conftest import connections
from tests.lane import QUEUE, Lane, echo
from tests.outage import cut_off
from tests.system import System, until

KIND = "probe.echo"
WAITS = (
    "select count(*) from pg_stat_activity where application_name = 'reelmill-dispatcher' and wait_event_type = 'Lock'"
)


@pytest.fixture
def lane(settings: Settings, database: Engine) -> Iterator[Lane]:
    made = Lane(settings, database)
    yield made
    made.runtime.close()


@contextmanager
def held_up(lane: Lane, job_id: UUID) -> Iterator[Callable[[], bool]]:
    """Hold a job's row. Gives a look at whether the dispatcher waits for it, in the middle of its transaction."""
    engine = db.connect(lane.settings.database_url.get_secret_value(), pool=2, idle_seconds=3600)
    with engine.connect() as holder, engine.connect() as looker:
        holder.execute(text("select from jobs where id = :id for update"), {"id": job_id})
        yield lambda: _one(looker, WAITS) > 0
        holder.rollback()
    engine.dispose()


def _one(connection: Connection, query: str) -> int:
    with connection.begin():
        return int(connection.execute(text(query)).scalar_one())


def ask(lane: Lane, number: int) -> list[UUID]:
    """Jobs of the gateway, and as many of foreign producers, half of each packed. Returns the gateway's ids."""
    commands = [echo(str(n)) for n in range(number)]
    with lane.desk.engine.begin() as connection:
        submission.submit(connection, commands, sending=True)
    jobs = [PackedJob(id=c.id, params=c.params) for c in commands]
    jobs += [PackedJob(id=uuid4(), params={}) for _ in range(number)]
    singles = [job_message(job.id, KIND, job.params) for job in jobs[::2]]
    lane.send([*packed_messages(KIND, jobs[1::2]), *singles])
    return [command.id for command in commands]


def done_once(lane: Lane, number: int) -> bool:
    facts = lane.facts()
    return lane.states() == {"succeeded": number} and facts.count("succeeded") == number


def drain(lane: Lane, number: int) -> None:
    """Wait until nothing is left of what has been sent: one job more, behind all others, is done."""
    lane.send([job_message(uuid4(), KIND, {})])
    until(lambda: done_once(lane, number + 1), "the last job is done")


@pytest.mark.row("X-09")
def test_a_dispatcher_that_is_killed_in_the_middle_of_a_batch_loses_and_repeats_nothing(
    lane: Lane, system: System
) -> None:
    ids = ask(lane, 60)
    with held_up(lane, ids[30]) as waits:
        system.start("dispatcher")
        until(waits, "the batch waits for its row")
        system.kill("dispatcher")
    until(lambda: lane.desk.depth(QUEUE) > 0, "the messages are back")
    assert lane.states().get("succeeded", 0) < 120
    system.start("dispatcher.2")
    until(lambda: done_once(lane, 120), "each job is done once")
    drain(lane, 120)
    system.stop_one("dispatcher.2")
    assert lane.desk.depth(QUEUE) == 0


@pytest.mark.row("X-09")
def test_a_connection_that_breaks_in_the_middle_of_a_batch_repeats_nothing(
    lane: Lane, system: System, stack: Stack, vhost: str
) -> None:
    ids = ask(lane, 60)
    with held_up(lane, ids[30]) as waits:
        system.start("dispatcher")
        until(waits, "the batch waits for its row")
        before = connections(system, "dispatcher", QUEUE)
        stack.rabbitmqctl("close_all_connections", "--vhost", vhost, "a test")
    until(lambda: done_once(lane, 120), "each job is done once")
    until(lambda: connections(system, "dispatcher", QUEUE) > before, "the dispatcher comes back")
    drain(lane, 120)
    system.stop_one("dispatcher")
    assert lane.desk.depth(QUEUE) == 0


@pytest.mark.row("X-09")
def test_while_the_database_is_away_nothing_is_acknowledged(lane: Lane, database: Engine, admin: Engine) -> None:
    ask(lane, 20)
    lane.send([Message(KIND, b"garbage", "", KIND)])
    with cut_off(admin, database):
        lane.turn_until(lambda: lane.runtime.held, "the batch is held")
        assert lane.answered == 0
    lane.finish()
    assert done_once(lane, 40)
    assert {each.body for each in lane.desk.parked()} == {b"garbage"}


def test_a_message_that_cannot_be_parked_is_kept_and_holds_up_nobody(lane: Lane, settings: Settings) -> None:
    lane.turn_until(lambda: lane.runtime.intake.connected, "it is connected")  # and has declared what is missing
    with Broker(settings) as broker:
        broker.delete_exchange(DEAD)
        lane.send([Message(KIND, b"garbage", "", KIND)])
        ask(lane, 20)
        lane.turn_until(lambda: done_once(lane, 40), "the others are done")
        assert lane.answered == lane.sent - 1
        declare(settings)
        lane.finish()
    assert {each.body for each in lane.desk.parked()} == {b"garbage"}


def test_acknowledgements_for_a_channel_that_is_gone_take_nobody_elses_message(
    lane: Lane, settings: Settings, stack: Stack, vhost: str
) -> None:
    intake = Intake(settings.amqp_url.get_secret_value(), QUEUE, prefetch=10)
    intake.resume()
    lane.send(Message(KIND, b"{}", str(uuid4()), KIND) for _ in range(10))

    def arrived(number: int) -> bool:
        intake.turn()
        return intake.pending == number

    until(lambda: arrived(10), "all have arrived")
    held = intake.take_all(10)
    stack.rabbitmqctl("close_all_connections", "--vhost", vhost, "a test")
    until(lambda: arrived(10), "all have come again")
    again = intake.take_all(10)
    assert [d.tag for d in again] == [d.tag for d in held], "the same tags mean other deliveries now"
    assert intake.settle_all([*held[:5], *again[:2], again[6]]) == 3
    intake.close()
    until(lambda: lane.desk.depth(QUEUE) == 7, "what was not acknowledged is there")


@pytest.mark.row("X-13")
def test_a_consumer_that_hears_nothing_is_not_alive(
    lane: Lane, stack: Stack, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SILENT_SECONDS", 1.0)
    lane.turn_until(lambda: lane.runtime.intake.connected, "it is connected")
    user = str(lane.settings.amqp_url.get_secret_value()).split("/")[2].partition(":")[0]
    stack.rabbitmqctl("set_permissions", "--vhost", vhost, user, ".*", ".*", "")
    try:
        stack.rabbitmqctl("close_all_connections", "--vhost", vhost, "a test")
        lane.turn_until(lambda: not lane.runtime.alive(), "it is found deaf")
    finally:
        stack.rabbitmqctl("set_permissions", "--vhost", vhost, user, ".*", ".*", ".*")
    lane.turn_until(lane.runtime.alive, "it hears again")
