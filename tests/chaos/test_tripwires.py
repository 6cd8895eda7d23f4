"""Consumers are killed, frozen or stopped at one exact point: what is done is done once, and nothing is left undone."""

import signal
from collections.abc import Iterator
from uuid import UUID, uuid4

import psutil
import pytest
from sqlalchemy import Engine, text

from infra import submission
from infra.settings import Settings
from infra.stack import Stack
from schemas.wire import Message, job_message
from tests.chaos.conftest import TOLD, Rig, connections
from tests.chaos.parents import CHILDREN
from tests.chaos.test_fast import done_once, drain
from tests.desk import Desk
from tests.lane import QUEUE, Lane, echo
from tests.system import PATIENCE, System, until

ADMITTED = "consumers.runtime.admission:Admission.admit"
COMMITTED = "consumers.runtime.fast.committing:Committer.commit"
SETTLED = "consumers.runtime.endings:settle"
PARENT = "analyze.sleep=tests.chaos.parents:handle"
ANALYZER = "reelmill.analyzer"


@pytest.fixture
def lane(settings: Settings, database: Engine) -> Iterator[Lane]:
    made = Lane(settings, database)
    yield made
    made.runtime.close()


@pytest.fixture
def desk(lane: Lane) -> Desk:
    return lane.desk


def echoes(lane: Lane, number: int) -> None:
    lane.send(Message("probe.echo", b"{}", str(uuid4()), "probe.echo") for _ in range(number))


def successes(desk: Desk, job_id: UUID) -> int:
    with desk.engine.connect() as connection:
        query = text("select count(*) from events where job_id = :id and type like '%.succeeded'")
        return int(connection.execute(query, {"id": job_id}).scalar_one())


def die(system: System, name: str) -> None:
    assert system.processes[name].wait(PATIENCE) == -signal.SIGKILL


def frozen(system: System, name: str) -> bool:
    return psutil.Process(system.processes[name].pid).status() == psutil.STATUS_STOPPED


@pytest.mark.row("X-09")
def test_killed_between_claim_and_acknowledgement_the_job_is_rescued_and_its_message_dropped(
    desk: Desk, system: System, rig: Rig
) -> None:
    job_id = desk.sleep(0)
    system.start(rig("rigged", "SIGKILL", "after", ADMITTED, "analyzer"))
    die(system, "rigged")
    assert (desk.job(job_id)["state"], desk.job(job_id)["attempt"]) == ("running", 1)
    until(lambda: desk.depth(ANALYZER) == 1, "the message is back")
    system.start("analyzer")
    until(lambda: desk.depth(ANALYZER) == 0, "the message is dropped")
    system.lapse()
    system.start("relay")
    assert desk.until(job_id, "succeeded")["attempt"] == 2
    assert successes(desk, job_id) == 1
    assert desk.outputs(job_id) == {"output.csv": b"sleep,0\n"}


@pytest.mark.row("X-09")
@pytest.mark.parametrize(
    ("moment", "where", "attempts"), [("after", SETTLED, 2), ("before", TOLD, 1)], ids=["before commit", "after commit"]
)
def test_killed_around_the_commit_of_its_end_a_job_has_its_children_once(
    desk: Desk, system: System, rig: Rig, moment: str, where: str, attempts: int
) -> None:
    job_id = desk.sleep(0)
    system.start(rig("rigged", "SIGKILL", moment, where, "analyzer", PARENT))
    die(system, "rigged")
    system.lapse()
    harmless = rig("analyzer", "SIGCONT", "before", TOLD, "analyzer", PARENT)
    system.start("relay", "dispatcher", harmless)
    assert desk.until(job_id, "succeeded")["attempt"] == attempts

    def children() -> list[UUID]:
        return [job["id"] for job in desk.jobs() if job["id"] != job_id and job["state"] == "succeeded"]

    until(lambda: len(children()) == CHILDREN, "the children are done")
    assert len(desk.jobs()) == 1 + CHILDREN
    assert [successes(desk, each) for each in (job_id, *children())] == [1] * (1 + CHILDREN)


@pytest.mark.row("X-09")
def test_killed_between_commit_and_acknowledgement_of_a_batch_nothing_is_done_again(
    lane: Lane, system: System, rig: Rig
) -> None:
    echoes(lane, 50)
    system.start(rig("rigged", "SIGKILL", "after", COMMITTED, "dispatcher"))
    die(system, "rigged")
    until(lambda: lane.desk.depth(QUEUE) == 50, "every message is back")
    assert lane.states()["succeeded"] > 0
    system.start("dispatcher")
    drain(lane, 50)
    assert done_once(lane, 51)
    system.stop_one("dispatcher")
    assert lane.desk.depth(QUEUE) == 0


@pytest.mark.row("X-12")
def test_sigterm_finishes_the_batch_and_leaves_the_rest_to_the_broker(lane: Lane, system: System, rig: Rig) -> None:
    jobs = [echo(str(n)) for n in range(20)]
    with lane.desk.engine.begin() as connection:
        submission.submit(connection, jobs, sending=True)
    lane.send(job_message(job.id, job.kind.name, job.params) for job in jobs)
    system.start(rig("rigged", "SIGSTOP", "before", COMMITTED, "dispatcher"), REELMILL_FAST_PREFETCH="10")
    until(lambda: frozen(system, "rigged"), "it is frozen with a batch in its hands")
    system.signal("rigged", signal.SIGTERM)
    system.signal("rigged", signal.SIGCONT)
    assert system.processes["rigged"].wait(PATIENCE) == 0
    done = lane.states()["succeeded"]
    assert 0 < done <= 5
    until(lambda: lane.desk.depth(QUEUE) == 20 - done, "the rest is there")
    assert lane.desk.attempts(jobs[0].id) == 0, "claim and end are one"


@pytest.mark.row("X-09")
def test_a_fast_zombie_writes_nothing_and_acknowledges_nobody_elses_message(
    lane: Lane, system: System, rig: Rig, stack: Stack, vhost: str
) -> None:
    echoes(lane, 20)
    system.start(rig("rigged", "SIGSTOP", "before", COMMITTED, "dispatcher"))
    until(lambda: frozen(system, "rigged"), "it is frozen with a batch in its hands")
    before = connections(system, "rigged", QUEUE)
    stack.rabbitmqctl("close_all_connections", "--vhost", vhost, "a test")
    system.start("dispatcher")
    until(lambda: done_once(lane, 20), "another one does its batch")
    system.signal("rigged", signal.SIGCONT)
    until(lambda: connections(system, "rigged", QUEUE) > before, "it finds out")
    system.stop_one("dispatcher")  # with all that it has done acknowledged: nothing of it comes again
    echoes(lane, 20)
    until(lambda: done_once(lane, 40), "it is of use again")
    system.stop_one("rigged")
    assert lane.desk.depth(QUEUE) == 0


@pytest.mark.row("X-09")
def test_a_fast_consumer_hears_again_after_its_queue_or_the_broker_was_away(
    lane: Lane, system: System, stack: Stack
) -> None:
    system.start("dispatcher")
    echoes(lane, 1)
    until(lambda: done_once(lane, 1), "it hears")
    before = connections(system, "dispatcher", QUEUE)
    lane.desk.delete_queue(QUEUE)
    until(lambda: connections(system, "dispatcher", QUEUE) > before, "it makes the queue again")
    echoes(lane, 1)
    until(lambda: done_once(lane, 2), "it hears again")
    stack.rabbitmqctl("stop_app")
    stack.rabbitmqctl("start_app")
    echoes(lane, 1)
    until(lambda: done_once(lane, 3), "and again")
