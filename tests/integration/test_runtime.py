"""A consumer process on real servers: what it does with messages, from its own producers and from foreign ones."""

import hashlib
from collections.abc import Iterator
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import Engine

from infra.settings import Settings
from schemas.wire import LARGEST_BODY
from tests.broker import declare
from tests.desk import Desk, distinct
from tests.system import System, until

QUEUE = "reelmill.analyzer"
KIND = "analyze.sleep"
COLLISION, COLLIDING = "c75d", (b"157", b"251")
"""A prefix, and two contents whose SHA-256 begins with it."""
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def desk(settings: Settings, database: Engine) -> Desk:
    declare(settings)
    return Desk(settings, database)


@pytest.fixture
def analyzer(system: System) -> Iterator[System]:
    system.start("analyzer")
    yield system
    assert system.processes["analyzer"].poll() is None, system.log("analyzer")[-3000:]


def asked(file: str, seconds: int = 0) -> bytes:
    return orjson.dumps({"file": file, "time": seconds})


@pytest.mark.row("S1-08", "S1-09", "X-05")
def test_a_job_runs_once_however_often_its_message_comes(desk: Desk, analyzer: System) -> None:
    file = desk.file()
    short, longer = desk.sleep(0, file), desk.sleep(1, file)
    for _ in range(3):
        desk.wake(longer)
    for job_id, seconds in ((short, 0), (longer, 1)):
        job = desk.until(job_id, "succeeded")
        csv = f"sleep,{seconds}\n".encode()
        assert desk.outputs(job_id) == {"output.csv": csv}
        assert job["result"] == {"sleep_time": seconds, "csv_file": hashlib.sha1(csv).hexdigest()}
        assert job["progress"] == 100
    desk.wake(short)
    desk.publish(KIND, b"only the id counts", message_id=str(longer))
    until(lambda: desk.depth(QUEUE) == 0, "the repetitions are dropped")
    desk.until(desk.sleep(0, file), "succeeded")
    assert desk.attempts(short) == desk.attempts(longer) == 1
    assert desk.parked() == []


def test_a_job_that_was_cancelled_while_it_waited_is_dropped(desk: Desk, system: System) -> None:
    cancelled, other = desk.sleep(0), desk.sleep(0)
    desk.cancel(cancelled)
    system.start("analyzer")
    desk.until(other, "succeeded")
    assert desk.job(cancelled)["state"] == "cancelled"
    assert desk.attempts(cancelled) == 0
    until(lambda: desk.depth(QUEUE) == 0, "the queue is empty")


@pytest.mark.row("X-05")
def test_a_foreign_producer_needs_an_exchange_a_key_and_a_body(desk: Desk, analyzer: System) -> None:
    file = desk.file()
    job_id = uuid4()
    headers = {"traceparent": TRACE, "x-death": "?"}
    desk.publish(KIND, asked(file[:12].upper()), message_id=str(job_id), priority=7, headers=headers)
    job = desk.until(job_id, "succeeded")
    assert job["via"] == "amqp"
    assert job["submitted_by"] == "amqp:producer"
    assert job["params"] == {"file": file, "time": 0}
    assert job["inputs"] == [{"param": "file", "sha256": file}]
    assert job["priority"] == 3  # above the broker's normal 4
    assert job["traceparent"] == TRACE
    assert desk.outputs(job_id) == {"output.csv": b"sleep,0\n"}
    desk.publish(KIND, asked(file))  # nothing but the body
    until(lambda: [job["state"] for job in desk.jobs()] == ["succeeded"] * 2, "the second job is done")


def test_a_foreign_message_id_that_is_no_uuid_is_an_idempotency_key(desk: Desk, analyzer: System) -> None:
    file = desk.file()
    for _ in range(3):
        desk.publish(KIND, asked(file), message_id="order 66")
    desk.publish(KIND, asked(file, 1), message_id="order 66")
    until(lambda: desk.depth("reelmill.dead") >= 1, "the other request under the same key is parked")
    [job] = desk.jobs()
    desk.until(job["id"], "succeeded")
    assert desk.attempts(job["id"]) == 1
    [parked] = distinct(desk.parked())
    assert parked.reason.startswith("idempotency_key_reused: ")


def test_a_file_that_is_not_there_fails_the_job_with_a_code(desk: Desk, analyzer: System) -> None:
    for code in ("unknown_file", "ambiguous_file_id"):
        job_id = uuid4()
        desk.publish(KIND, asked(COLLISION), message_id=str(job_id))
        job = desk.until(job_id, "failed")
        assert job["error_code"] == code
        assert COLLISION in job["error_message"]
        for content in COLLIDING:
            desk.file(content)
    assert desk.parked() == []


@pytest.mark.row("X-06", "X-07")
def test_messages_that_make_no_sense_are_parked_with_the_reason_and_stop_nobody(desk: Desk, analyzer: System) -> None:
    file = desk.file()
    senseless = {
        "undecodable: the body is not JSON": (KIND, b"not json", {}),
        "undecodable: the body must be a JSON object": (KIND, b"[1, 2]", {}),
        "undecodable: the body has": (KIND, b" " * (LARGEST_BODY + 1), {}),
        "invalid_parameter: time": (KIND, asked(file, -1), {}),
        "invalid_parameter: file": (KIND, asked("../../etc/passwd"), {}),
        "invalid_parameter: extra": (KIND, orjson.dumps({"file": file, "time": 0, "extra": 1}), {}),
        "bad_message_id": (KIND, asked(file), {"message_id": "line\nfeed"}),
    }
    for key, body, properties in senseless.values():
        desk.publish(key, body, **properties)
    desk.publish(QUEUE, asked(file), exchange="", type="no.such.kind", headers={"x-death": "mine", "shade": "blue"})
    job_id = desk.sleep(0, file)
    desk.until(job_id, "succeeded")
    parked = distinct(desk.parked())
    assert len(parked) == len(senseless) + 1
    for reason, (_, body, _) in senseless.items():
        assert any(p.reason.startswith(reason) and p.body == body for p in parked), (reason, parked)
    [unknown] = [p for p in parked if p.reason.startswith("unknown_kind")]
    assert unknown.headers["shade"] == "blue"
    assert "x-death" not in unknown.headers
    assert unknown.headers["reelmill-queue"] == QUEUE
    assert [job["id"] for job in desk.jobs()] == [job_id]
