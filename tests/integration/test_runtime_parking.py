"""Messages that are hard to get rid of: each leaves the queue, and the consumer does the work behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from infra.settings import Settings
from infra.stack import Stack
from infra.topology import DEAD, UNROUTABLE
from tests.broker import Broker, declare
from tests.desk import Desk, distinct
from tests.system import System, until

KIND = "analyze.sleep"
FRAME = 131_072


@pytest.fixture
def desk(settings: Settings, database: Engine) -> Desk:
    declare(settings)
    return Desk(settings, database)


@contextmanager
def largest_message(stack: Stack, size: int) -> Iterator[None]:
    """The broker takes no larger message on channels that are opened from now on."""
    before = stack.evaluate("application:get_env(rabbit, max_message_size, 134217728)")
    stack.evaluate(f"application:set_env(rabbit, max_message_size, {size})")
    try:
        yield
    finally:
        stack.evaluate(f"application:set_env(rabbit, max_message_size, {before})")


def passes(desk: Desk, analyzer: System, job_id: UUID) -> Any:
    """The job behind the message is done; returns what was parked."""
    desk.until(job_id, "succeeded")
    until(lambda: desk.depth(DEAD) >= 1, "the message is parked")
    assert analyzer.processes["analyzer"].poll() is None
    [parked] = distinct(desk.parked())
    return parked


@pytest.mark.row("X-07")
def test_headers_that_fill_a_frame_are_left_behind(desk: Desk, system: System) -> None:
    desk.publish(KIND, b"not json", headers={"big": "h" * (FRAME - 300), "small": "kept only with the others"})
    job_id = desk.sleep(0)
    system.start("analyzer")
    parked = passes(desk, system, job_id)
    assert parked.body == b"not json"
    assert parked.reason.startswith("undecodable: ")
    assert "big" not in parked.headers


@pytest.mark.row("X-07")
def test_a_message_that_cannot_be_sent_again_is_left_to_the_broker(desk: Desk, system: System, stack: Stack) -> None:
    desk.publish(KIND, b"x" * 5000)
    job_id = desk.sleep(0)
    with largest_message(stack, 4000):
        system.start("analyzer")
        parked = passes(desk, system, job_id)
    assert parked.body == b"x" * 5000
    assert parked.headers["x-death"][0]["reason"] == "rejected"


@pytest.mark.row("X-07")
@pytest.mark.parametrize("properties", [{"correlation_id": b"\xff\xfe"}, {"headers": {"n": {"deep": b"\xff\xfe"}}}])
def test_text_that_is_no_text_stops_nobody(desk: Desk, system: System, properties: dict[str, Any]) -> None:
    desk.publish(KIND, b"not json", **properties)
    job_id = desk.sleep(0)
    system.start("analyzer")
    assert passes(desk, system, job_id).body == b"not json"


def test_one_part_of_the_topology_that_differs_spoils_no_other(settings: Settings) -> None:
    declare(settings)
    with Broker(settings) as broker:
        broker.delete("reelmill.splitter")
        broker.delete(UNROUTABLE)
        broker.queue("reelmill.splitter", "reelmill.jobs", "operators.own", x_delivery_limit=7)
        declare(settings)
        assert broker.depth(UNROUTABLE) == 0
