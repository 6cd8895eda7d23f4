"""The wire format: what a producer or a subscriber in another language may rely on."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import wire

JOB = UUID("0193a5b0-0000-7000-8000-000000000001")
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_wake_up_says_which_queueing_it_is_for_to_the_microsecond(moment: datetime) -> None:
    assert wire.queued_at(wire.job_message(JOB, "split.video", {}, queued_at=moment).headers) == moment


@pytest.mark.parametrize("told", [None, "soon", 1.5, b"\xff", 2**63, -(2**63), [1], {}])
def test_a_queueing_that_is_none_says_nothing(told: Any) -> None:
    assert wire.queued_at({wire.QUEUED_AT: told}) is None


def test_a_job_message_is_its_parameters_and_everything_else_a_property() -> None:
    message = wire.job_message(JOB, "split.video", {"rate": "5"}, priority=4, traceparent=TRACE)
    assert orjson.loads(message.body) == {"rate": "5"}
    assert message.routing_key == message.type == "split.video"
    assert message.message_id == str(JOB)
    assert message.priority == 4
    assert message.headers == {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": str(JOB),
        "cloudEvents_source": "reelmill",
        "cloudEvents_type": "split.video",
        "cloudEvents_dataschema": "urn:reelmill:split.video.v1",
        "reelmill-version": 1,
        "traceparent": TRACE,
    }


@pytest.mark.row("X-14")
def test_an_event_message_is_a_cloud_event_with_its_number() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    message = wire.event_message(17, "job.split.video.succeeded", JOB, {"state": "succeeded"}, when, TRACE)
    assert orjson.loads(message.body) == {"seq": 17, "job_id": str(JOB), "state": "succeeded"}
    assert message.routing_key == message.type == "job.split.video.succeeded"
    assert message.message_id == "event-17"
    assert message.correlation_id == str(JOB)
    assert message.headers["cloudEvents_id"] == "17"
    assert message.headers["cloudEvents_subject"] == str(JOB)
    assert message.headers["cloudEvents_time"] == "2026-01-02T03:04:05+00:00"
    assert message.headers["traceparent"] == TRACE


def test_an_event_about_no_job_has_no_subject() -> None:
    message = wire.event_message(1, "system.started", None, {}, datetime.now(UTC))
    assert "cloudEvents_subject" not in message.headers
    assert message.correlation_id is None


@given(params=st.dictionaries(st.text(), json_values, max_size=5))
def test_parameters_survive_the_way(params: dict[str, Any]) -> None:
    message = wire.job_message(JOB, "split.video", params)
    assert wire.decode_params(message.body) == params
    # Scalars only and never `x-`: brokers interpret or drop the rest.
    assert all(isinstance(value, str | int) and not name.startswith("x-") for name, value in message.headers.items())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "JSON object"),
        (b"null", "JSON object"),
        (b'"text"', "JSON object"),
        (b'{"a": NaN}', "not JSON"),
        (b" " * wire.LARGEST_BODY + b"{}", "the limit is"),
        (b"[" * 5000, "not JSON"),
    ],
)
def test_a_body_that_is_none_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(wire.Undecodable, match=reason):
        wire.decode_params(body)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_either_parameters_or_undecodable(body: bytes) -> None:
    with suppress(wire.Undecodable):
        assert isinstance(wire.decode_params(body), dict)


def packed(number: int, size: int = 10) -> list[wire.PackedJob]:
    return [wire.PackedJob(id=uuid4(), params={"text": "x" * size}, priority=n % 10) for n in range(number)]


@given(
    jobs=st.lists(st.builds(wire.PackedJob, params=st.dictionaries(st.text(), json_values, max_size=3)), max_size=20)
)
def test_packed_jobs_survive_the_way(jobs: list[wire.PackedJob]) -> None:
    lines = [job for m in wire.packed_messages("probe.echo", jobs) for _, job in wire.decode_packed(m.body)]
    assert lines == jobs


@pytest.mark.parametrize(
    ("number", "size", "messages"), [(0, 1, 0), (1, 1, 1), (500, 1, 1), (501, 1, 2), (9, 60_000, 3)]
)
def test_packed_messages_keep_to_the_limits(number: int, size: int, messages: int) -> None:
    jobs = packed(number, size)
    made = list(wire.packed_messages("probe.echo", jobs, version=3))
    assert len(made) == messages
    assert [job for m in made for _, job in wire.decode_packed(m.body)] == jobs
    assert all(wire.is_packed(m.content_type) and m.headers[wire.VERSION] == 3 for m in made)
    assert len({m.message_id for m in made}) == messages


def test_a_job_that_fills_a_message_goes_alone_and_in_its_place() -> None:
    small, other = packed(2)
    large = wire.PackedJob(id=uuid4(), params={"text": "x" * (wire.LARGEST_BODY - 12)}, priority=4)
    first, alone, last = wire.packed_messages("probe.echo", [small, large, other])
    assert [wire.is_packed(m.content_type) for m in (first, alone, last)] == [True, False, True]
    assert (alone.message_id, alone.priority) == (str(large.id), 4)
    assert wire.decode_params(alone.body) == large.params


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "the line"),
        (b"{}", "id"),
        (b'{"id": "7", "params": {}}', "id"),
        (b'{"id": "0193a5b0-0000-7000-8000-000000000001", "params": []}', "params"),
        (b'{"id": "0193a5b0-0000-7000-8000-000000000001", "params": {}, "priority": 10}', "priority"),
        (b'{"id": "0193a5b0-0000-7000-8000-000000000001", "params": {}, "traceparent": 1}', "traceparent"),
        (b'{"id": "0193a5b0-0000-7000-8000-000000000001", "params": {}, "submitted_by": "admin"}', "submitted_by"),
    ],
)
def test_a_bad_line_is_told_apart_from_the_good_ones(line: bytes, reason: str) -> None:
    good = orjson.dumps({"id": JOB, "params": {}})
    (_, first), (said, bad), (_, last) = wire.decode_packed(b"\n".join([good, b"  ", line, good]) + b"\r\n")
    assert first == last == wire.PackedJob(id=JOB, params={})
    assert said == line
    assert isinstance(bad, wire.Undecodable)
    assert reason in str(bad)


@pytest.mark.parametrize(("body", "reason"), [(b"", "0 lines"), (b"\n \n", "0 lines"), (b"{}\n" * 501, "501 lines")])
def test_a_packed_body_has_between_one_and_500_lines(body: bytes, reason: str) -> None:
    with pytest.raises(wire.Undecodable, match=reason):
        wire.decode_packed(body)
    with pytest.raises(wire.Undecodable, match="the limit is"):
        wire.decode_packed(b" " * (wire.LARGEST_BODY + 1))


@given(body=st.binary(max_size=200))
def test_any_bytes_are_lines_or_undecodable(body: bytes) -> None:
    with suppress(wire.Undecodable):
        assert all(isinstance(job, wire.PackedJob | wire.Undecodable) for _, job in wire.decode_packed(body))
