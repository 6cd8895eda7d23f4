"""The relay as real processes: one leads, and what was lost, is due or went silent is put right."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from sqlalchemy import Engine, text

from infra import claims, jobs, steps, submission
from infra.settings import Settings
from infra.stack import Stack
from infra.steps import Checkpoint
from infra.topology import EVENTS, JOBS, UNROUTABLE, queue_of
from schemas import wire
from schemas.registry import Consumer
from tests.broker import Broker, declare
from tests.makers import UNPUBLISHED, new_command, new_file, stored
from tests.system import PATIENCE, System, until

QUEUE = queue_of(Consumer.ANALYZER)


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    declare(settings)
    with Broker(settings) as broker:
        yield broker


@pytest.fixture
def relay(system: System) -> System:
    """One relay that is quick to notice losses, and leads.

    Of a busy queue the broker may say that it is empty. Then the relay publishes again what is there: a queue never has
    fewer messages than jobs, but at times more.
    """
    return leading(system, "1")


@pytest.fixture
def calm(system: System) -> System:
    """One relay that looks for no losses as long as a test lasts, and leads."""
    return leading(system, "3600")


def leading(system: System, republish_seconds: str) -> System:
    system.start("relay", REELMILL_REPUBLISH_SECONDS=republish_seconds)
    until(lambda: role(system, "relay") == "leader", "the relay leads")
    return system


def port(system: System, name: str) -> int | None:
    """The port of a process's probes, from its log."""
    for line in reversed(system.log(name).split("\n")[:-1]):  # what follows the last end is half a line, or none
        if "probes.ready" in line:
            return int(json.loads(line)["port"])
    return None


def probe(system: System, name: str, path: str) -> httpx.Response:
    found = until(lambda: port(system, name), f"the probes of {name} answer")

    def answer() -> httpx.Response | None:
        """They hang up on whoever says nothing for five seconds, which may be us."""
        try:
            return httpx.get(f"http://127.0.0.1:{found}{path}", timeout=PATIENCE)
        except httpx.TransportError:
            return None

    return until(answer, f"the probes of {name} answer")


def role(system: System, name: str) -> str:
    return str(probe(system, name, "/healthz").json()["role"])


def leader_of(system: System, *names: str) -> str | None:
    leaders = [name for name in names if role(system, name) == "leader"]
    return leaders[0] if len(leaders) == 1 else None


def submit(engine: Engine, number: int = 1, **terms: Any) -> list[UUID]:
    """Committed jobs that nobody has published."""
    file = new_file(engine)
    commands = [new_command(file, **terms) for _ in range(number)]
    with engine.begin() as connection:
        submission.submit(connection, commands)
    return [command.id for command in commands]


def count(engine: Engine, query: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def test_jobs_that_nobody_published_are_published_once(calm: System, database: Engine, broker: Broker) -> None:
    ids = submit(database, 300)
    until(lambda: broker.depth(QUEUE) == 300, "every job has its message")
    until(lambda: count(database, "select count(*) from jobs where published_at is null") == 0, "every job is marked")
    sent = {properties.message_id: wire.queued_at(properties.headers) for _, properties, _ in broker.take_all(QUEUE)}
    with database.begin() as connection:
        rows = connection.execute(text("select id, queued_at from jobs")).all()
    assert sent == {str(row.id): row.queued_at for row in rows if row.id in ids}
    assert len(sent) == 300


@pytest.mark.row("X-04")
def test_a_debt_is_paid_by_a_job_that_is_published_again(calm: System, database: Engine, broker: Broker) -> None:
    submit(database)
    until(lambda: broker.depth(QUEUE) == 1, "the job has its message")
    with database.begin() as connection:
        connection.execute(text("insert into message_debts (consumer, messages) values ('analyzer', 1)"))
    until(lambda: broker.depth(QUEUE) == 2, "a second one makes up for the debt")
    assert count(database, "select sum(messages) from message_debts") == 0


@pytest.mark.row("X-04", "S1-07")
def test_the_broker_is_away_and_comes_back(calm: System, database: Engine, settings: Settings, stack: Stack) -> None:
    with Broker(settings) as broker:
        until(lambda: broker.depth(QUEUE) == 0, "the topology is there")
        broker.queue("test.events", EVENTS, "#")
    stack.rabbitmqctl("stop_app")
    try:
        submit(database, 20)
        numbered = "select count(*) from events where seq is not null"
        until(lambda: count(database, numbered) == 21, "the events are numbered all the same")
        until(lambda: probe(calm, "relay", "/readyz").status_code == 503, "the relay says that it is not ready")
        assert probe(calm, "relay", "/healthz").is_success
    finally:
        stack.rabbitmqctl("start_app")
    with Broker(settings) as broker:
        until(lambda: broker.depth(QUEUE) == 20, "the jobs are published once the broker is back")
        expected = 1

        def whole() -> bool:
            """An event that was not confirmed comes again, and all that follow: their number alone says little."""
            nonlocal expected
            expected = in_order(broker, "test.events", expected)
            return expected == 22

        until(whole, "and so are the events")
    until(lambda: probe(calm, "relay", "/readyz").is_success, "the relay is ready")


def test_the_topology_comes_back_by_itself(relay: System, database: Engine, broker: Broker) -> None:
    until(lambda: broker.depth(QUEUE) == 0, "the queue is there")
    broker.delete_exchange(JOBS)
    broker.delete(QUEUE)
    submit(database, 5)
    until(lambda: broker.depth(QUEUE) >= 5, "exchange, queue and binding are back, and the jobs are in the queue")
    assert broker.depth(UNROUTABLE) == 0


@pytest.mark.row("X-09")
def test_lost_messages_are_published_again(relay: System, database: Engine, broker: Broker) -> None:
    ids = {str(i) for i in submit(database, 6)}
    until(lambda: broker.depth(QUEUE) >= 6, "the jobs are published")
    broker.purge(QUEUE)
    seen: set[str] = set()

    def came_again() -> bool:
        seen.update(properties.message_id for _, properties, _ in broker.take_all(QUEUE))
        return seen >= ids

    until(came_again, "the purged queue has its messages again")
    assert seen == ids
    counted = 'jobs_reconciled_total{consumer="analyzer"}'
    # Of a busy queue the broker may have told less than all of the loss at first.
    until(lambda: (_sample(relay, "relay", counted) or 0) >= 6, "all losses are counted")


@pytest.mark.row("X-09")
def test_a_partial_loss_is_found_although_the_queue_is_not_empty(
    relay: System, database: Engine, broker: Broker
) -> None:
    ids = {str(i) for i in submit(database, 6)}
    until(lambda: broker.depth(QUEUE) >= 6, "the jobs are published")
    lost = {broker.take(QUEUE)[1].message_id for _ in range(2)}  # type: ignore[index]
    seen: set[str] = set()

    def came_again() -> bool:
        # The jobs that survive are claimed in time; the lost ones stay, and become the oldest.
        while (message := broker.take(QUEUE)) is not None:
            job = message[1].message_id
            seen.add(job)
            with database.begin() as connection:
                claims.claim(connection, UUID(job), "test", 60)
        return seen == ids

    until(came_again, f"the lost messages {lost} come again")


@pytest.mark.row("X-09")
def test_what_an_unsuccessful_job_made_is_let_go(relay: System, database: Engine) -> None:
    [job] = submit(database)
    part = Checkpoint("part", 0, {}, (stored(b"one", "part/one.bin"), stored(b"two", "part/two.bin")))
    with database.begin() as connection:
        held = claims.claim(connection, job, "test", 60)
        assert held is not None
        assert steps.checkpoint(connection, job, held.token, part)
        assert claims.fail(connection, held, "broken", "It broke.") == "failed"
    waiting = " union all ".join(
        f"select from {table}" for table in ("job_outputs", "job_steps", "discards", "erasures")
    )
    until(lambda: count(database, f"select count(*) from ({waiting}) as rest") == 0, "rows and objects are let go")
    assert count(database, "select count(*) from blobs where erased_at is not null") == 2


@pytest.mark.row("X-09")
def test_an_expired_claim_is_rescued(relay: System, database: Engine, broker: Broker) -> None:
    [job] = submit(database)
    until(lambda: broker.take(QUEUE), "the job is published")
    with database.begin() as connection:
        held = claims.claim(connection, job, "a worker that dies", 1)
    assert held is not None
    queued = "select count(*) from jobs where state = 'queued' and attempt = 1"
    until(lambda: count(database, queued) == 1, "the claim is taken away")
    until(lambda: broker.take(QUEUE), "the job is published again")
    with database.begin() as connection:
        assert claims.succeed(connection, held, {}, []) is None  # the dead worker's claim is worth nothing
        again = claims.claim(connection, job, "another", 60)
    assert again is not None
    assert again.attempt == 2
    assert until(lambda: _sample(relay, "relay", 'jobs_leases_expired_total{state="queued"}'), "it is counted") == 1


def test_a_scheduled_job_runs_when_it_is_due_and_not_before(relay: System, database: Engine, broker: Broker) -> None:
    now = datetime.now(UTC)
    [later] = submit(database, run_at=now + timedelta(hours=1))
    [soon] = submit(database, run_at=now + timedelta(seconds=1))
    _, properties, _ = until(lambda: broker.take(QUEUE), "the due job is published")
    assert properties.message_id == str(soon)
    states = "select state from jobs where id = :id"
    with database.connect() as connection:
        assert connection.execute(text(states), {"id": later}).scalar_one() == "scheduled"
        queued, due = connection.execute(text("select queued_at, run_at from jobs where id = :id"), {"id": soon}).one()
    assert queued >= due


def test_a_consumer_whose_queue_refuses_holds_up_no_other(
    relay: System, database: Engine, broker: Broker, stack: Stack, vhost: str
) -> None:
    policy = {"max-length": 1, "overflow": "reject-publish"}
    stack.rabbitmqctl(
        "set_policy", "--vhost", vhost, "--apply-to", "queues", "full", "^reelmill.splitter$", json.dumps(policy)
    )
    file = new_file(database)
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into jobs (id, kind, consumer, state, params, submitted_by, via, max_attempts, queued_at)"
                " select gen_random_uuid(), 'split.video', 'splitter', 'queued', '{}', 'test', 'job', 5, now()"
                " from generate_series(1, 600)"
            )
        )
        submission.submit(connection, [new_command(file) for _ in range(5)])
    until(lambda: broker.depth(QUEUE) >= 5, "the other consumer's jobs are published")
    waiting = "select count(*) from jobs where consumer = 'splitter' and published_at is null"
    assert count(database, waiting) > 0  # refused, kept, and tried again


@pytest.mark.row("X-14", "X-13")
def test_events_are_numbered_published_and_carry_the_trace(relay: System, database: Engine, broker: Broker) -> None:
    broker.queue("test.events", EVENTS, "job.#")
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    [job] = submit(database, traceparent=trace)
    with database.begin() as connection:
        assert jobs.cancel(connection, job)
    until(lambda: broker.depth("test.events") == 2, "both events are published")
    received = broker.take_all("test.events")
    assert [method.routing_key for method, _, _ in received] == [
        "job.analyze.sleep.queued",
        "job.analyze.sleep.cancelled",
    ]
    assert [orjson.loads(body)["seq"] for _, _, body in received] == [2, 3]  # the first told of the file
    for _, properties, body in received:
        assert properties.headers["traceparent"] == trace
        assert properties.headers["cloudEvents_subject"] == orjson.loads(body)["job_id"] == str(job)
    until(lambda: count(database, UNPUBLISHED) == 0, "the events are marked")


def test_a_subscriber_that_refuses_withholds_nothing_from_the_others(
    relay: System, database: Engine, broker: Broker
) -> None:
    broker.queue("test.full", EVENTS, "#", x_queue_type="classic", x_max_length=1, x_overflow="reject-publish")
    broker.queue("test.all", EVENTS, "#")
    submit(database, 100)
    until(lambda: count(database, UNPUBLISHED) == 0, "the events are delivered")
    received: set[int] = set()

    def arrived() -> bool:
        """The broker says that one queue has refused an event before the other has it."""
        received.update(orjson.loads(body)["seq"] for _, _, body in broker.take_all("test.all"))
        return len(received) >= 101

    until(arrived, "the other has them all")
    assert received == set(range(1, 102))
    assert "relay.events_refused" in relay.log("relay")


def in_order(broker: Broker, queue: str, expected: int) -> int:
    """Read as a subscriber must: take the next number, drop the others. Returns the next number that is missing."""
    for _, _, body in broker.take_all(queue):
        if orjson.loads(body)["seq"] == expected:
            expected += 1
    return expected


@pytest.mark.row("X-14", "X-09")
def test_the_sequence_has_no_gap_although_leaders_are_killed(system: System, database: Engine, broker: Broker) -> None:
    broker.queue("test.events", EVENTS, "#")
    names = ["relay.1", "relay.2", "relay.3"]
    system.start(*names)
    made = 1  # of the file
    for _ in range(2):
        leader = until(lambda: leader_of(system, *names), "one relay leads")
        before, made = made, made + 2500
        submit(database, 2500)
        numbered = "select count(*) from events where seq is not null"
        until(lambda: count(database, numbered) > before, "the leader has begun with them")  # noqa: B023
        system.kill(leader)
        names.remove(leader)
    until(lambda: count(database, UNPUBLISHED) == 0, "all events are published")
    assert count(database, "select count(*) from events") == made
    assert count(database, "select count(distinct seq) from events") == made
    assert count(database, "select max(seq) from events") == made
    assert in_order(broker, "test.events", 1) == made + 1


def test_the_other_relay_takes_over_from_one_that_was_killed(system: System, database: Engine, broker: Broker) -> None:
    system.start("relay.1", REELMILL_LEASE_SECONDS="60")
    until(lambda: role(system, "relay.1") == "leader", "the first relay leads")
    system.start("relay.2", REELMILL_LEASE_SECONDS="60")
    until(lambda: probe(system, "relay.2", "/readyz").is_success, "the second is ready")
    assert role(system, "relay.2") == "standby"
    assert "jobs_state{" not in probe(system, "relay.2", "/metrics").text
    until(lambda: "jobs_state{" in probe(system, "relay.1", "/metrics").text, "the leader shows the gauges")
    system.kill("relay.1")
    until(lambda: role(system, "relay.2") == "leader", "the second relay leads")
    submit(database, 3)
    until(lambda: broker.depth(QUEUE) == 3, "it does the work")


@pytest.mark.row("X-09")
def test_a_stopped_leader_is_replaced_and_steps_down_when_it_wakes(
    system: System, database: Engine, broker: Broker
) -> None:
    system.start("relay.1", REELMILL_LEASE_SECONDS="3")
    until(lambda: role(system, "relay.1") == "leader", "the first relay leads")
    system.start("relay.2", REELMILL_LEASE_SECONDS="60")  # and keeps the lock, however slow it is
    system.signal("relay.1", signal.SIGSTOP)
    until(lambda: role(system, "relay.2") == "leader", "its silence costs it the lock")
    system.signal("relay.1", signal.SIGCONT)
    until(lambda: role(system, "relay.1") == "standby", "it sees that it no longer leads")
    assert "relay.lost_leadership" in system.log("relay.1")
    assert role(system, "relay.2") == "leader"


def test_a_leader_that_is_told_to_stop_hands_over_and_exits(system: System, database: Engine, broker: Broker) -> None:
    system.start("relay.1")
    until(lambda: role(system, "relay.1") == "leader", "the first relay leads")
    system.start("relay.2")
    until(lambda: probe(system, "relay.2", "/readyz").is_success, "the second is ready")
    system.signal("relay.1", signal.SIGTERM)
    assert system.processes["relay.1"].wait(timeout=PATIENCE) == 0
    until(lambda: role(system, "relay.2") == "leader", "the second relay leads")


def test_a_lost_database_connection_costs_the_lead_for_a_moment_only(
    relay: System, database: Engine, broker: Broker
) -> None:
    ended = (
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    assert count(database, ended) >= 1
    until(lambda: "relay.lost_leadership" in relay.log("relay"), "the relay notices")
    until(lambda: role(relay, "relay") == "leader", "it leads again")
    db_is_used_again = submit(database, 2)
    until(lambda: broker.depth(QUEUE) >= len(db_is_used_again), "it does the work")
    assert relay.processes["relay"].poll() is None


@pytest.mark.row("X-13")
def test_the_gauges_tell_what_waits(relay: System, database: Engine, broker: Broker) -> None:
    # First, so that a look that counts the others counts these, too.
    submit(database, 2, run_at=datetime.now(UTC) + timedelta(hours=1))
    submit(database, 4)
    queued = 'jobs_state{consumer="analyzer",state="queued"}'
    until(lambda: _sample(relay, "relay", queued) == 4, "the queued jobs are counted")
    scheduled = 'jobs_state{consumer="analyzer",state="scheduled"}'
    until(lambda: _sample(relay, "relay", scheduled) == 2, "and the scheduled ones")
    nobody = 'jobs_state{consumer="splitter",state="queued"}'
    until(lambda: _sample(relay, "relay", nobody) == 0, "where none waits it says so")
    until(lambda: _sample(relay, "relay", 'jobs_oldest_queued_seconds{consumer="analyzer"}'), "and so is their age")
    assert probe(relay, "relay", "/nothing").status_code == 404


@pytest.mark.row("X-02")
def test_the_log_tells_no_secret(relay: System, settings: Settings, database: Engine, broker: Broker) -> None:
    submit(database)
    until(lambda: broker.depth(QUEUE) >= 1, "the relay has worked")
    relay.stop_one("relay")  # else it may be in the middle of a line
    log = relay.log("relay")
    for url in (settings.amqp_url, settings.database_url):
        assert url.get_secret_value() not in log
    password = settings.amqp_url.get_secret_value().split(":")[2].split("@")[0]
    assert password not in log
    for line in log.splitlines():
        assert json.loads(line)["action"]


def _sample(system: System, name: str, sample: str) -> float | None:
    for line in probe(system, name, "/metrics").text.splitlines():
        if line.startswith(sample + " "):
            return float(line.split()[-1])
    return None
