"""The fast lane on real servers: many jobs in one transaction, each done once, and no message that stops the others."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, text

from infra import submission
from infra.ids import new_id
from infra.settings import Settings
from schemas.commands import Command
from schemas.wire import PACKED, Message, PackedJob, job_message, packed_messages
from tests.integration import pranks
from tests.lane import Lane, echo
from tests.makers import new_command

KIND = "probe.echo"


@pytest.fixture
def lane(settings: Settings, database: Engine) -> Iterator[Lane]:
    made = Lane(settings, database)
    yield made
    made.runtime.close()


@pytest.fixture
def prankster(settings: Settings, database: Engine) -> Iterator[Lane]:
    made = Lane(settings, database, pranks.work())
    yield made
    made.runtime.close()


def wake(command: Command) -> Message:
    return job_message(command.id, KIND, command.params)


def single(body: bytes, message_id: str = "", **terms: Any) -> Message:
    return Message(KIND, body, message_id, KIND, **terms)


def committed(lane: Lane, *commands: Command) -> list[Command]:
    """The gateway's rows, which count as published."""
    with lane.desk.engine.begin() as connection:
        submission.submit(connection, commands, sending=True)
    return list(commands)


def sample(name: str, **labels: str) -> Callable[[], float]:
    """How far a metric has moved since now."""
    labels = {"kind": KIND} | labels
    before = REGISTRY.get_sample_value(name, labels) or 0
    return lambda: (REGISTRY.get_sample_value(name, labels) or 0) - before


def test_many_messages_of_foreign_producers_are_done_once_each(lane: Lane) -> None:
    ids = [uuid4() for _ in range(300)]
    submitted, finished = sample("jobs_submitted_total", via="amqp"), sample("jobs_finished_total", outcome="succeeded")
    lane.send(single(orjson.dumps({"text": str(i)}), str(i)) for i in ids)
    lane.finish()
    for job_id in ids[::50]:
        job = lane.desk.job(job_id)
        assert (job["state"], job["attempt"], job["progress"], job["via"]) == ("succeeded", 1, 100, "amqp")
        assert job["result"] == job["params"] == {"text": str(job_id)}
        assert job["submitted_by"] == "amqp:producer"
        assert job["traceparent"].startswith("00-")
    assert lane.states() == {"succeeded": 300}
    assert lane.facts() == ["succeeded"] * 300
    assert submitted() == finished() == 300


@pytest.mark.row("X-04")
def test_jobs_of_the_gateway_are_done_once_however_often_their_messages_come(lane: Lane) -> None:
    jobs = committed(lane, *(echo(str(n)) for n in range(50)))
    waited = sample("jobs_queue_wait_seconds_count")
    packed = list(packed_messages(KIND, [PackedJob(id=job.id, params=job.params) for job in jobs]))
    lane.send([*map(wake, jobs), *packed, *map(wake, jobs)])
    lane.finish()
    again = Lane(*_same(lane))
    again.send([*packed, wake(jobs[0])])
    again.finish()
    assert lane.states() == {"succeeded": 50}
    assert sorted(lane.facts()) == ["queued"] * 50 + ["succeeded"] * 50
    assert lane.desk.job(jobs[7].id)["result"] == {"text": "7"}
    assert lane.desk.job(jobs[7].id)["via"] == "http"
    assert {lane.desk.job(job.id)["attempt"] for job in jobs[:9]} == {1}
    assert waited() == 50


def test_a_job_that_was_cancelled_while_it_waited_never_runs(lane: Lane) -> None:
    first, cancelled, last = committed(lane, *(echo() for _ in range(3)))
    lane.desk.cancel(cancelled.id)
    lane.send(map(wake, (first, cancelled, last)))
    lane.finish()
    assert lane.states() == {"succeeded": 2, "cancelled": 1}
    assert lane.facts(cancelled.id) == ["queued", "cancelled"]


@pytest.mark.row("X-07")
def test_one_bad_line_parks_only_that_line(lane: Lane) -> None:
    jobs = [PackedJob(id=new_id(), params={"text": str(n)}, priority=n % 10) for n in range(1200)]
    messages = list(packed_messages(KIND, jobs))
    assert len(messages) == 3
    bad = {
        "undecodable: the line is not JSON": b"{not json",
        "undecodable: id": orjson.dumps({"id": "7", "params": {}}),
        "undecodable: submitted_by": orjson.dumps({"id": new_id(), "params": {}, "submitted_by": "admin"}),
        "invalid_parameter: text": orjson.dumps({"id": new_id(), "params": {"text": 7}}),
        "unstorable": orjson.dumps({"id": new_id(), "params": {"text": "\0"}}),
    }
    good = [new_id() for _ in bad]
    mixed = [x for b, i in zip(bad.values(), good, strict=True) for x in (orjson.dumps({"id": i, "params": {}}), b)]
    lane.send([*messages, single(b"\n".join(mixed), "pack-of-mine", content_type=f"{PACKED}; charset=utf-8")])
    lane.finish()
    assert lane.states() == {"succeeded": 1200 + len(good)}
    assert lane.desk.job(jobs[1199].id)["priority"] == 9
    parked = lane.desk.parked()
    assert len(parked) == len(bad)
    for reason, line in bad.items():
        assert any(p.reason.startswith(reason) and p.body == line for p in parked), (reason, parked)


@pytest.mark.row("X-06", "X-07")
def test_messages_that_make_no_sense_are_parked_among_those_that_do(lane: Lane) -> None:
    senseless = {
        "undecodable: the body is not JSON": single(b"not json"),
        "undecodable: the body must be a JSON object": single(b"[]", str(uuid4())),
        "invalid_parameter: extra": single(b'{"extra": 1}'),
        "bad_message_id": single(b"{}", "line\nfeed"),
        "unknown_version": single(b"{}", headers={"reelmill-version": 9}),
        "unstorable": single(orjson.dumps({"text": "\0"}), str(uuid4())),
        "undecodable: the body has 501 lines": single(b"{}\n" * 501, "p", content_type=PACKED),
    }
    ids = [uuid4() for _ in range(50)]
    lane.send([m for i in ids for m in (single(b"{}", str(i)), *(senseless.values() if i == ids[9] else ()))])
    lane.finish()
    assert lane.states() == {"succeeded": 50}
    parked = lane.desk.parked()
    assert len(parked) == len(senseless)
    for reason, message in senseless.items():
        assert any(p.reason.startswith(reason) and p.body == message.body for p in parked), (reason, parked)


def test_the_row_is_right_whatever_its_message_says(lane: Lane) -> None:
    other, garbage, nul = committed(lane, echo("one"), echo("two"), echo("three"))
    says = [b'{"text": "other"}', b"garbage", orjson.dumps({"text": "\0"})]
    lane.send(single(body, str(job.id)) for job, body in zip((other, garbage, nul), says, strict=True))
    lane.finish()
    results = [lane.desk.job(job.id)["result"] for job in (other, garbage, nul)]
    assert results == [{"text": "one"}, {"text": "two"}, {"text": "three"}]
    assert lane.desk.parked() == []


def test_of_two_different_messages_for_one_job_the_first_counts(lane: Lane) -> None:
    job_id = uuid4()
    lane.send(single(orjson.dumps({"text": said}), str(job_id)) for said in ("first", "second", "first"))
    lane.finish()
    assert lane.desk.job(job_id)["result"] == {"text": "first"}
    assert lane.facts() == ["succeeded"]


def test_a_message_id_that_is_no_uuid_is_an_idempotency_key(lane: Lane) -> None:
    lane.send([*(single(b'{"text": "a"}', "order 66") for _ in range(3)), single(b'{"text": "b"}', "order 66")])
    lane.send([single(b"{}"), single(b"{}")])  # without any id, each is a job
    lane.finish()
    results = [lane.desk.job(job["id"])["result"] for job in lane.desk.jobs()]
    assert sorted(result["text"] for result in results) == ["", "", "a"]
    [parked] = lane.desk.parked()
    assert parked.reason.startswith("idempotency_key_reused: ")


def test_a_job_of_another_consumer_is_left_to_it(lane: Lane) -> None:
    theirs = new_command(lane.desk.file())
    lane.desk.commit(theirs)
    lane.send([single(b"{}", str(theirs.id))])
    lane.finish()
    assert lane.states() == {"queued": 1}
    [parked] = lane.desk.parked()
    assert parked.reason.startswith("wrong_consumer: ")


def test_a_paused_kind_waits_without_its_messages(lane: Lane) -> None:
    with lane.desk.engine.begin() as connection:
        connection.execute(text("insert into kind_controls (kind, paused_at) values ('probe.echo', now())"))
    [mine] = committed(lane, echo())
    foreign = uuid4()
    lane.send([wake(mine), single(b"{}", str(foreign)), single(b"{}", "a key")])
    lane.finish()
    with lane.desk.engine.begin() as connection:
        held = connection.execute(text("select held, published_at from jobs where state = 'queued'")).all()
        assert held == [("paused", None)] * 3
        connection.execute(text("update kind_controls set paused_at = null"))
    resumed = Lane(*_same(lane))
    resumed.send([wake(mine), single(b"{}", str(foreign))])
    resumed.finish()
    assert lane.states() == {"succeeded": 2, "queued": 1}


def test_a_handler_that_fails_ends_its_own_job_as_it_says(prankster: Lane) -> None:
    ways = {
        "reject": ("failed", "no_good"),
        "stumble": ("scheduled", "not_now"),
        "break": ("scheduled", "internal_error"),
    }
    foreign = {do: uuid4() for do in ways}
    mine = dict(zip(ways, committed(prankster, *(echo(do=do) for do in ways)), strict=True))
    good = [uuid4() for _ in range(20)]
    bodies = {i: {"do": do} for do, i in foreign.items()} | {c.id: c.params for c in mine.values()}
    bodies |= {i: {"text": "good"} for i in good}
    prankster.send(single(orjson.dumps(body), str(i)) for i, body in bodies.items())
    prankster.finish()
    for do, (state, code) in ways.items():
        for job_id in (foreign[do], mine[do].id):
            job = prankster.desk.job(job_id)
            assert (job["state"], job["error_code"], job["attempt"]) == (state, code, 1)
            assert job["run_at"] > job["created_at"] or state == "failed"
            assert prankster.facts(job_id) == ["queued", state]
    assert prankster.states() == {"succeeded": 20, "failed": 2, "scheduled": 4}


def test_attempts_are_counted_and_spent(prankster: Lane) -> None:
    job_id = uuid4()
    prankster.send([single(b'{"do": "stumble"}', str(job_id))])
    prankster.turn_until(lambda: prankster.states() == {"scheduled": 1}, "the first attempt fails")
    prankster.desk.promote(job_id)
    prankster.turn_until(lambda: prankster.states() == {"failed": 1}, "the second attempt is the last")
    assert prankster.desk.job(job_id)["attempt"] == 2
    assert prankster.facts() == ["queued", "scheduled", "queued", "failed"]


@pytest.mark.parametrize("do", ["nul", "object"])
def test_a_result_that_cannot_be_stored_costs_an_attempt_and_nobody_elses(prankster: Lane, do: str) -> None:
    [culprit] = committed(prankster, echo(do=do))
    good = [uuid4() for _ in range(20)]
    middle = single(orjson.dumps(culprit.params), str(culprit.id))
    prankster.send([m for i in good for m in (single(b"{}", str(i)), *([middle] if i == good[9] else []))])
    prankster.finish()
    assert prankster.states() == {"succeeded": 20, "scheduled": 1}
    assert prankster.desk.job(culprit.id)["error_code"] == "internal_error"
    assert prankster.desk.parked() == []


def _same(lane: Lane) -> tuple[Settings, Engine]:
    return lane.settings, lane.desk.engine
