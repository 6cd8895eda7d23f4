"""Consumers are killed, frozen, stopped and cut off in the middle of a job: it ends once, with one result."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import amqp
import orjson
import psutil
import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from consumers.runtime import loop
from infra.broker import Delivery, Intake
from infra.settings import Settings
from infra.stack import Stack
from tests.broker import declare
from tests.chaos.conftest import connections
from tests.desk import Desk
from tests.driven import LIMITS, Driven
from tests.makers import new_command
from tests.outage import cut_off
from tests.system import PATIENCE, System, until

QUEUE = "reelmill.analyzer"
SPLITTER = "reelmill.splitter"


@pytest.fixture
def desk(settings: Settings, database: Engine) -> Desk:
    declare(settings)
    return Desk(settings, database)


def child_of(system: System, name: str) -> psutil.Process:
    """The one child of a consumer."""
    return until(lambda: system.children(name), f"{name} has a child")[0]


def turned(intake: Intake) -> Intake:
    intake.turn()
    return intake


def next_of(intake: Intake) -> Delivery | None:
    return turned(intake).take()


def address(settings: Settings) -> dict[str, str]:
    """The broker, in py-amqp's words."""
    url = make_url(settings.amqp_url.get_secret_value())
    words = {"host": f"{url.host}:{url.port}", "virtual_host": url.database}
    return {name: str(word) for name, word in (words | {"userid": url.username, "password": url.password}).items()}


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_child_that_is_killed_costs_an_attempt_and_not_the_consumer(
    desk: Desk, system: System, opening: Path
) -> None:
    system.start("analyzer")
    job_id = desk.sleep(0)
    desk.until_started(job_id)
    child_of(system, "analyzer").kill()
    job = desk.until(job_id, "scheduled")
    assert (job["error_code"], job["attempt"]) == ("child_died", 1)
    assert "SIGKILL" in job["error_message"]
    opening.touch()
    desk.promote(job_id)
    assert desk.until(job_id, "succeeded")["attempt"] == 2
    assert desk.outputs(job_id) == {"output.csv": b"sleep,0\n"}
    assert system.processes["analyzer"].poll() is None


@pytest.mark.row("S1-12", "X-09")
def test_a_consumer_that_is_killed_takes_its_child_along_and_another_does_the_job(
    desk: Desk, system: System, settings: Settings, opening: Path
) -> None:
    system.start("analyzer")
    job_id = desk.sleep(0)
    desk.until_started(job_id)
    child = child_of(system, "analyzer")
    system.kill("analyzer")
    until(lambda: gone(child), "the child dies with its parent")
    assert settings.scratch is not None
    [left] = settings.scratch.iterdir()
    desk.rescue(job_id)
    opening.touch()
    system.start("analyzer.2")
    assert desk.until(job_id, "succeeded")["attempt"] == 2
    assert desk.outputs(job_id) == {"output.csv": b"sleep,0\n"}
    assert not left.exists(), "what the dead one left behind is swept"


@pytest.mark.row("X-09")
def test_a_zombie_writes_nothing(desk: Desk, system: System, opening: Path) -> None:
    system.start("analyzer")
    job_id = desk.sleep(0)
    desk.until_started(job_id)
    child = child_of(system, "analyzer")
    system.signal("analyzer", signal.SIGSTOP)
    child.suspend()
    desk.rescue(job_id)
    opening.touch()
    system.start("analyzer.2")
    done = desk.until(job_id, "succeeded")
    outputs = desk.outputs(job_id)
    child.resume()
    system.signal("analyzer", signal.SIGCONT)
    until(lambda: '"state":"fenced"' in system.log("analyzer"), "the zombie finds out")
    assert desk.job(job_id) == done
    assert desk.outputs(job_id) == outputs == {"output.csv": b"sleep,0\n"}
    # And it is of use again.
    system.kill("analyzer.2")
    desk.until(desk.sleep(0), "succeeded")


def test_work_under_a_lost_claim_is_killed(desk: Desk, system: System) -> None:
    system.start("analyzer")
    job_id = desk.sleep(600)
    desk.until_started(job_id)
    child = child_of(system, "analyzer")
    system.signal("analyzer", signal.SIGSTOP)  # the child works on
    desk.rescue(job_id)
    system.start("analyzer.2")
    until(lambda: desk.attempts(job_id) == 2, "another consumer has it")
    system.signal("analyzer", signal.SIGCONT)
    until(lambda: gone(child), "the child is killed")
    desk.cancel(job_id)
    assert desk.until(job_id, "cancelled")["attempt"] == 2


@pytest.mark.row("X-12")
def test_sigterm_hands_the_job_back_uncharged(desk: Desk, system: System, settings: Settings, opening: Path) -> None:
    system.start("analyzer", REELMILL_GRACE_SECONDS="0.2")
    job_id = desk.sleep(0)
    desk.until_started(job_id)
    child = child_of(system, "analyzer")
    system.signal("analyzer", signal.SIGTERM)
    assert system.processes["analyzer"].wait(PATIENCE) == 0
    job = desk.job(job_id)
    assert (job["state"], job["attempt"]) == ("queued", 0)
    assert gone(child)
    assert settings.scratch is not None
    assert list(settings.scratch.iterdir()) == []
    opening.touch()
    system.start("analyzer.2")
    desk.wake(job_id)
    assert desk.until(job_id, "succeeded")["attempt"] == 1


@pytest.mark.row("X-12")
def test_sigterm_lets_a_job_finish_within_its_grace_and_takes_no_other(
    desk: Desk, system: System, opening: Path
) -> None:
    system.start("analyzer", REELMILL_GRACE_SECONDS="3000")
    first, second = desk.sleep(0), desk.sleep(0)
    desk.until_started(first)
    system.signal("analyzer", signal.SIGTERM)
    until(lambda: "stopping" in system.log("analyzer"), "the signal is heard")
    opening.touch()
    assert system.processes["analyzer"].wait(PATIENCE) == 0
    assert desk.job(first)["state"] == "succeeded"
    assert desk.job(second)["state"] == "queued"
    until(lambda: desk.depth(QUEUE) == 1, "its message is there")


@pytest.mark.row("X-12")
def test_a_second_signal_ends_the_grace(desk: Desk, system: System) -> None:
    system.start("analyzer", REELMILL_GRACE_SECONDS="3000")
    job_id = desk.sleep(3000)
    desk.until_started(job_id)
    system.signal("analyzer", signal.SIGINT)
    until(lambda: "stopping" in system.log("analyzer"), "the first signal is heard")
    system.signal("analyzer", signal.SIGINT)
    assert system.processes["analyzer"].wait(PATIENCE) == 0
    assert desk.job(job_id)["state"] == "queued"


@pytest.mark.row("X-12")
def test_a_consumer_that_was_frozen_past_its_grace_hands_the_job_back(
    desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LAST_WORDS_SECONDS", 0.0)  # all of it is over before it runs on
    driven = Driven(desk, settings.model_copy(update={"grace_seconds": 0.0}), LIMITS)
    job_id = driven.ask("for_ever")
    driven.until(lambda: desk.job(job_id)["state"] == "running", "the job runs")
    driven.runtime.stop()
    driven.runtime.run()
    assert (desk.job(job_id)["state"], desk.job(job_id)["attempt"]) == ("queued", 0)
    driven.close()


@pytest.mark.row("X-05")
def test_a_busy_consumer_hoards_nothing(desk: Desk, system: System) -> None:
    system.start("analyzer")
    busy = desk.sleep(600)
    desk.until_started(busy)
    other = desk.sleep(0)
    system.start("analyzer.2")
    desk.until(other, "succeeded")
    assert desk.job(busy)["state"] == "running"


@pytest.mark.row("S1-22")
def test_a_running_job_is_cancelled_and_its_consumer_is_free_at_once(desk: Desk, system: System) -> None:
    system.start("analyzer")
    job_id = desk.sleep(600)
    desk.until_started(job_id)
    child = child_of(system, "analyzer")
    desk.cancel(job_id)
    assert desk.until(job_id, "cancelled")["result"] is None
    assert gone(child)
    assert desk.outputs(job_id) == {}
    desk.until(desk.sleep(0), "succeeded")


@pytest.fixture
def impatient(stack: Stack) -> Iterator[Callable[[int], object]]:
    """Makes a broker that waits so many seconds for an acknowledgement on a new channel, and looks every second."""
    patience = (
        "application:set_env(rabbit, channel_tick_interval, {}), application:set_env(rabbit, consumer_timeout, {})"
    )
    yield lambda seconds: stack.evaluate(patience.format(1000, 1000 * seconds))
    stack.evaluate(patience.format(60_000, 1_800_000))


@pytest.mark.row("X-05")
def test_a_job_longer_than_the_brokers_patience_is_never_delivered_again(
    impatient: Callable[[int], object], desk: Desk, system: System, settings: Settings, opening: Path
) -> None:
    impatient(15)  # for the consumer to claim the job, too, on a busy machine
    system.start("analyzer")
    job_id = desk.sleep(0)
    desk.until_started(job_id)
    before = len(system.log("analyzer"))  # a busy broker may have been too slow for the first try to connect
    # A message that comes later than the job's, and is not acknowledged, tells when the broker has lost its patience.
    other = Intake(settings.amqp_url.get_secret_value(), SPLITTER)
    other.resume()
    desk.publish("split.video", b"{}")
    held = until(lambda: next_of(other), "the other message")
    until(lambda: not turned(other).current(held), "the broker loses its patience")
    other.close()
    opening.touch()
    assert desk.until(job_id, "succeeded")["attempt"] == 1
    assert desk.attempts(job_id) == 1
    assert "broker.away" not in system.log("analyzer")[before:]
    assert desk.depth(QUEUE) == 0


@pytest.mark.row("X-05")
def test_an_acknowledgement_for_a_channel_that_is_gone_takes_nobody_elses_message(
    impatient: Callable[[int], object], desk: Desk, settings: Settings
) -> None:
    impatient(5)
    intake = Intake(settings.amqp_url.get_secret_value(), QUEUE)
    intake.resume()
    desk.publish("analyze.sleep", b"first")
    held = until(lambda: next_of(intake), "the first message")
    until(lambda: not turned(intake).current(held), "the broker loses its patience and closes the channel")
    again = until(lambda: next_of(intake), "the message comes again")
    assert (again.tag, again.redelivered) == (held.tag, True), "the tag now means another delivery"
    assert not intake.settle(held)
    intake.close()
    until(lambda: desk.depth(QUEUE) == 1, "the message is still there")


@pytest.mark.row("X-07")
def test_a_message_that_cannot_even_be_decoded_is_parked_at_once(
    desk: Desk, system: System, settings: Settings
) -> None:
    system.start("analyzer")
    with amqp.Connection(**address(settings)) as connection:
        message = amqp.Message(b"{}", message_id=b"\xff\xfe is no UTF-8", delivery_mode=2)
        connection.channel().basic_publish_confirm(message, "reelmill.jobs", "analyze.sleep")
    desk.until(desk.sleep(0), "succeeded")
    reasons = {parked.reason for parked in until(desk.parked, "it is parked")}
    assert reasons == {"undecodable: the properties of the message cannot be read"}


@pytest.mark.row("X-09")
def test_a_running_job_ends_while_the_broker_is_away_and_the_next_comes_when_it_is_back(
    desk: Desk, system: System, stack: Stack, opening: Path
) -> None:
    system.start("analyzer")
    running, waiting = desk.sleep(0), desk.sleep(0)
    desk.until_started(running)
    stack.rabbitmqctl("stop_app")
    try:
        until(lambda: "broker.away" in system.log("analyzer"), "the consumer notices")
        opening.touch()
        assert desk.until(running, "succeeded")["attempt"] == 1
    finally:
        stack.rabbitmqctl("start_app")
    assert desk.until(waiting, "succeeded")["attempt"] == 1


def test_a_queue_that_was_deleted_is_made_again(desk: Desk, system: System) -> None:
    system.start("analyzer")
    desk.until(desk.sleep(0), "succeeded")
    before = connections(system, "analyzer", QUEUE)
    desk.delete_queue(QUEUE)
    until(lambda: connections(system, "analyzer", QUEUE) > before, "the consumer comes back")
    desk.until(desk.sleep(0), "succeeded")


@pytest.mark.row("X-09")
def test_while_the_database_is_away_nothing_is_decided(
    desk: Desk, system: System, database: Engine, admin: Engine, opening: Path
) -> None:
    system.start("analyzer", REELMILL_LEASE_SECONDS="600", REELMILL_SLOTS="2")
    running = desk.sleep(0)
    desk.until_started(running)
    waiting = new_command(desk.file())
    desk.commit(waiting)
    with cut_off(admin, database):
        desk.publish(waiting.kind.name, orjson.dumps(waiting.params), message_id=str(waiting.id))
        until(lambda: "message.held" in system.log("analyzer"), "the message is held")
        opening.touch()
        until(lambda: "attempt.kept" in system.log("analyzer"), "the ending is held")
    for job_id in (running, waiting.id):
        assert desk.until(job_id, "succeeded")["attempt"] == 1
        assert desk.attempts(job_id) == 1
