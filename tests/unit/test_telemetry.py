"""What a log line shows, and what it never shows."""

import json
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog

from infra import telemetry
from infra.settings import Settings

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
JOB = UUID(int=7)


@pytest.fixture(autouse=True)
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    before = structlog.get_config()
    telemetry.configure(Settings.model_construct(log_format="json"), "test")
    yield
    structlog.configure(**before)
    root.handlers, root.level = handlers, level


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    [only] = capsys.readouterr().err.splitlines()
    return dict(json.loads(only))


def test_a_line_has_an_action_and_the_job_and_trace_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    with telemetry.about(JOB, TRACE):
        structlog.get_logger().info("claimed", action="job.claimed", attempt=2)
    found = line(capsys)
    assert found["action"] == "job.claimed"
    assert found["service"] == "test"
    assert found["job_id"] == str(JOB)
    assert found["trace_id"] == "a" * 32
    structlog.get_logger().info("later", action="x.y")
    assert "job_id" not in line(capsys)


@pytest.mark.parametrize("given", [None, "", "junk", "00-short-b-01"])
def test_a_traceparent_that_is_none_gives_no_trace(given: str | None) -> None:
    assert telemetry.trace_id(given) is None


@pytest.mark.row("X-02")
@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"s3_secret_key": "hunter2"},
        {"Authorization": "hunter2"},
        {"nested": {"deep": [{"access_token": "hunter2"}]}},
        {"url": "amqp://user:hunter2@host:5672/vhost"},
        {"urls": ["postgresql://user:hunter2@/db?host=/tmp"]},
        {"link": "http://host/key?X-Amz-Signature=hunter2&x=1"},
        {"header": "Bearer hunter2hunter2"},
        {"header": "Basic aHVudGVyMjpodW50ZXIy", "x": "hunter1"},
    ],
)
def test_no_secret_gets_out(fields: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("something", action="x.y", **fields)
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert "aHVudGVy" not in text
    assert telemetry.HIDDEN in text


def test_what_is_no_secret_stays(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info(
        "x", action="x.y", claim=17, url="http://host:80/a?b=c", mail="a@b", none={"token": None}
    )
    found = line(capsys)
    assert (found["claim"], found["url"], found["mail"], found["none"]) == (
        17,
        "http://host:80/a?b=c",
        "a@b",
        {"token": None},
    )


def test_an_exception_is_one_line_without_folders(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("no way to amqp://u:hunter2@host")
    except ValueError:
        structlog.get_logger().exception("broke", action="x.broke")
    found = line(capsys)
    assert found["error"] == "ValueError"
    assert found["reason"] == f"no way to amqp://{telemetry.HIDDEN}@host"
    assert str(found["where"]).startswith("['test_telemetry.py:")
    assert "/" not in str(found["where"])


def test_lines_of_libraries_look_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("some.library").warning("to %s", "amqp://u:hunter2@host")
    found = line(capsys)
    assert found["action"] == "library.some.library"
    assert found["event"] == f"to amqp://{telemetry.HIDDEN}@host"
    logging.getLogger("pika.connection").error("noise")
    assert capsys.readouterr().err == ""


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(Settings.model_construct(log_format="text"), "test")
    structlog.get_logger().info("claimed", action="job.claimed", token="hunter2")
    text = capsys.readouterr().err
    assert "action=job.claimed" in text
    assert "hunter2" not in text
