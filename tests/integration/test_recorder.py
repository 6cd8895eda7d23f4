"""The parking queues become rows: every message once, with its cause, and nothing that can hold up the others."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import amqp
import pika
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from infra import broker, db, jobs, parked, resolutions, submission
from infra.broker import Delivery
from infra.parked import Filter, Parked
from infra.relay import cause
from infra.relay.recorder import Recorder
from infra.resolutions import Resolution
from infra.settings import Settings
from infra.topology import DEAD, DELIVERY_LIMIT, UNROUTABLE
from tests.broker import declare, parameters
from tests.desk import Desk
from tests.makers import new_command, new_file
from tests.outage import cut_off
from tests.system import until

KIND = "analyze.sleep"
QUEUE = "reelmill.analyzer"


@pytest.fixture
def desk(settings: Settings, database: Engine) -> Desk:
    declare(settings)
    return Desk(settings, database)


@pytest.fixture
def recorder(settings: Settings, database: Engine) -> Iterator[Recorder]:
    running = Recorder(settings, database)
    running.start()
    yield running
    running.stop()


def rows(engine: Engine, number: int) -> list[dict[str, Any]]:
    """Every recorded message, oldest first, once there are so many."""

    def recorded() -> list[dict[str, Any]] | None:
        with engine.begin() as connection:
            found = parked.page(connection, Filter(open=False), None, 100)
            whole = [parked.get(connection, row["id"], 10_000_000) for row in reversed(found)]
        return [dict(row) for row in whole if row is not None] if len(found) >= number else None

    found = until(recorded, f"{number} messages are recorded")
    assert len(found) == number
    return found


def poison(settings: Settings, job_id: UUID | None = None) -> None:
    """Take the first message of the queue again and again, as a consumer does that dies of it, until it is gone."""
    with pika.BlockingConnection(parameters(settings.amqp_url.get_secret_value())) as connection:
        channel = connection.channel()

        def got() -> Any | None:
            found = channel.basic_get(QUEUE)
            return found if found[0] is not None else None

        for _ in range(DELIVERY_LIMIT + 1):
            method, properties, _ = until(got, "the message comes (again)")
            assert job_id is None or properties.message_id == str(job_id)
            channel.basic_reject(method.delivery_tag, requeue=True)


@pytest.mark.row("X-06")
def test_what_a_consumer_parks_is_recorded_with_its_reason(
    desk: Desk, recorder: Recorder, settings: Settings, database: Engine
) -> None:
    given = Delivery(b"not json", KIND, {"message_id": "m", "priority": 7}, {"shade": "blue", "x-death": "mine"})
    broker.park(settings.amqp_url.get_secret_value(), given, QUEUE, "undecodable: the body is not JSON: at character 3")
    desk.publish("no.such.key", b"\xff\x00", headers={"n": 1})
    desk.publish("", b"by itself", exchange=DEAD)
    found = {row["code"]: row for row in rows(database, 3)}
    ours = found["undecodable"]
    assert (ours["queue"], ours["routing_key"], ours["message_id"]) == (QUEUE, KIND, "m")
    assert ours["detail"] == "the body is not JSON: at character 3"
    assert (bytes(ours["body"]), ours["size"]) == (b"not json", 8)
    assert ours["properties"]["priority"] == 7
    assert ours["headers"]["shade"] == "blue"
    assert found["unroutable"]["routing_key"] == "no.such.key"
    assert bytes(found["unroutable"]["body"]) == b"\xff\x00"
    assert bytes(found["no_reason"]["body"]) == b"by itself"
    until(lambda: desk.depth(DEAD) == desk.depth(UNROUTABLE) == 0, "the queues are empty")


@pytest.mark.row("X-07")
def test_bytes_that_no_library_can_read_hold_up_nobody(
    desk: Desk, recorder: Recorder, settings: Settings, database: Engine
) -> None:
    url = make_url(settings.amqp_url.get_secret_value())
    address = {"host": f"{url.host}:{url.port}", "userid": url.username, "password": url.password}
    with amqp.Connection(**address, virtual_host=url.database) as connection:
        channel = connection.channel()
        for odd in ({"message_id": b"\xff"}, {"application_headers": {"n": {"d": b"\xff"}, b"\xfe": 1}}, {}):
            for exchange in (DEAD, "reelmill.jobs"):
                message = amqp.Message(b"odd", delivery_mode=2, **odd)
                channel.basic_publish_confirm(message, exchange, b"\xff\xfe" if not odd else "no.such.key")
    desk.publish("no.such.key", b"even")
    found = rows(database, 7)
    assert sum(bytes(row["body"]) == b"odd" for row in found) == 6
    assert {row["headers"].get("reelmill-unreadable") for row in found} == {None, "UnicodeDecodeError"}


def test_a_large_body_is_recorded_in_part(desk: Desk, recorder: Recorder, database: Engine) -> None:
    body = b"b" * (parked.KEPT_BODY + 17)
    desk.publish("no.such.key", body)
    [row] = rows(database, 1)
    assert (bytes(row["body"]), row["size"]) == (body[: parked.KEPT_BODY], len(body))
    with database.begin() as connection:
        assert resolutions.replay(connection, [row["id"]], "me", must_not_send) == {row["id"]: Resolution.TRUNCATED}


@pytest.mark.row("X-04")
def test_a_message_that_comes_twice_is_recorded_once(database: Engine) -> None:
    headers = {"reelmill-parked": str(uuid4()), "reelmill-reason": "c: d"}
    first, again = (cause.parked(DEAD, Delivery(b"x", KIND, {}, headers, redelivered=r)) for r in (False, True))
    with database.begin() as connection:
        assert parked.record(connection, [first, again]) == 1
    with database.begin() as connection:
        assert parked.record(connection, [again]) == 0
        assert parked.record(connection, [first]) == 1  # it comes for the first time: it is another one


def test_nothing_is_lost_while_the_database_is_away(
    admin: Engine, desk: Desk, recorder: Recorder, database: Engine
) -> None:
    with cut_off(admin, database):
        for number in range(30):
            desk.publish("no.such.key", b"%d" % number)
    found = rows(database, 30)
    assert {bytes(row["body"]) for row in found} == {b"%d" % number for number in range(30)}
    assert recorder.alive()


@pytest.mark.row("X-06")
def test_a_poison_message_of_a_foreign_producer_is_parked_by_the_broker(
    desk: Desk, recorder: Recorder, settings: Settings, database: Engine
) -> None:
    desk.publish(KIND, b"poison", message_id="order 66")
    poison(settings)
    [row] = rows(database, 1)
    assert (row["code"], row["queue"], row["routing_key"]) == ("delivery_limit", QUEUE, KIND)
    assert (row["message_id"], row["job_id"], row["resolution"]) == ("order 66", None, None)


@pytest.mark.row("X-06")
def test_a_job_that_nobody_can_take_is_tried_again_then_fails_and_can_be_replayed(
    desk: Desk, recorder: Recorder, settings: Settings, database: Engine
) -> None:
    job_id = desk.sleep(0)
    with database.begin() as connection:
        connection.execute(text("update jobs set max_attempts = 2, published_at = now()"))
    poison(settings, job_id)
    [first] = rows(database, 1)
    assert (first["code"], first["job_id"]) == ("delivery_limit", job_id)
    assert (first["resolution"], first["resolved_by"]) == ("replayed", "relay")
    job = desk.job(job_id)
    assert (job["state"], job["attempt"], job["error_code"]) == ("scheduled", 1, "delivery_limit")
    desk.promote(job_id)
    with database.begin() as connection:
        connection.execute(text("update jobs set published_at = now()"))
    poison(settings, job_id)
    _, last = rows(database, 2)
    assert last["resolution"] is None
    job = desk.job(job_id)
    assert (job["state"], job["error_code"]) == ("failed", "delivery_limit")
    assert str(last["id"]) in job["error_message"]
    with database.begin() as connection:
        # The row is the truth: the message itself is not sent, the job is queued and published like any other.
        for outcome in (Resolution.REPLAYED, Resolution.ALREADY_RESOLVED):
            assert resolutions.replay(connection, [last["id"]], "me", must_not_send) == {last["id"]: outcome}
        unpublished = db.rows(connection, "outbox.unpublished", consumer="analyzer", age=0, batch=10)
    assert [row["id"] for row in unpublished] == [job_id]
    assert desk.job(job_id)["state"] == "queued"


def test_a_message_says_nothing_about_a_job_that_has_moved_on(database: Engine) -> None:
    command = new_command(new_file(database))
    with database.begin() as connection:
        submission.submit(connection, [command])
        connection.execute(text("update jobs set published_at = now()"))
    died = {"queue": QUEUE, "reason": "delivery_limit", "routing-keys": [KIND], "time": "now"}

    def message(**other: Any) -> Parked:
        headers = {"x-death": [died | other]}
        return cause.parked(DEAD, Delivery(b"x", KIND, {"message_id": str(command.id)}, headers))

    with database.begin() as connection:
        # Another consumer's queue, or another reason: the job itself is in its own queue and well.
        assert parked.record(connection, [message(queue="reelmill.splitter"), message(reason="expired")]) == 2
        row = jobs.get(connection, command.id)
        assert row is not None
        assert (row["state"], row["attempt"]) == ("queued", 0)
        assert jobs.cancel(connection, command.id)
        assert parked.record(connection, [message(time="later")]) == 1
        row = jobs.get(connection, command.id)
        assert row is not None
        assert row["state"] == "cancelled"


def test_a_mistake_of_ours_about_a_message_costs_its_job_time_but_no_attempt(database: Engine) -> None:
    command = new_command(new_file(database))
    told = {"reelmill-reason": "unstorable: admitting it failed with KeyError", "reelmill-queue": QUEUE}
    message = cause.parked(DEAD, Delivery(b"x", KIND, {"message_id": str(command.id)}, told))
    with database.begin() as connection:
        submission.submit(connection, [command])
        connection.execute(text("update jobs set published_at = now()"))
        parked.record(connection, [message])
        row = jobs.get(connection, command.id)
        [found] = parked.page(connection, Filter(open=False), None, 10)
    assert row is not None
    assert (row["state"], row["attempt"], row["error_code"]) == ("scheduled", 0, "unstorable")
    assert (found["resolution"], found["job_id"]) == ("replayed", command.id)


def test_a_job_whose_key_is_taken_by_now_spoils_no_other(database: Engine) -> None:
    file = new_file(database)
    keyed, free, rival = (new_command(file, unique_key=key) for key in ("k", None, "k"))
    died = {"queue": QUEUE, "reason": "delivery_limit", "routing-keys": [KIND], "time": "now"}
    with database.begin() as connection:
        submission.submit(connection, [keyed, free])
        connection.execute(text("update jobs set published_at = now(), max_attempts = 1"))
        for command in (keyed, free):
            message = Delivery(b"x", KIND, {"message_id": str(command.id)}, {"x-death": [died]})
            parked.record(connection, [cause.parked(DEAD, message)])
        submission.submit(connection, [rival])
    with database.begin() as connection:
        ids = [row["id"] for row in parked.page(connection, Filter(), None, 10)]
        assert resolutions.replay(connection, ids, "me", must_not_send) == {
            ids[0]: Resolution.REPLAYED,
            ids[1]: Resolution.KEY_IN_USE,
        }
        assert [row["id"] for row in parked.page(connection, Filter(), None, 10)] == ids[1:]


def test_groups_and_pages_say_what_there_is(database: Engine) -> None:
    def message(code: str, number: int) -> Parked:
        return Parked("q", "k", code, f"at {number}", cause.fingerprint("q", "k", code, f"at {number}"), b"x", {}, {})

    with database.begin() as connection:
        parked.record(connection, [message(code, number) for number in range(3) for code in ("a", "b")])
        parked.record(connection, [message("c", 1)])
        found = parked.groups(connection, None, 10)
        assert sorted((row["code"], row["messages"], row["detail"]) for row in found) == [
            ("a", 3, "at 2"),
            ("b", 3, "at 2"),
            ("c", 1, "at 1"),
        ]
        first = parked.groups(connection, None, 1)
        rest = parked.groups(connection, first[0]["fingerprint"], 10)
        assert [*first, *rest] == list(found)
        ids = [row["id"] for row in parked.page(connection, Filter(), None, 100)]
        assert ids == sorted(ids, reverse=True)
        assert [row["id"] for row in parked.page(connection, Filter(), ids[2], 2)] == ids[3:5]
        assert len(parked.page(connection, Filter(code="a"), None, 100)) == 3
        assert resolutions.discard(connection, ids[:2], "me") == dict.fromkeys(ids[:2], Resolution.DISCARDED)
        assert resolutions.discard(connection, [ids[0], 10**9], "me") == {
            ids[0]: Resolution.ALREADY_RESOLVED,
            10**9: Resolution.UNKNOWN,
        }
        assert len(parked.page(connection, Filter(), None, 100)) == 5
        assert parked.open_count(connection, 3) == 3


must_not_send: Callable[..., Any] = pytest.fail
