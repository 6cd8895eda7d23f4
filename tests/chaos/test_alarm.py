"""A memory alarm of the broker under load: acknowledgements flow, people are told to wait, all is done once."""

import signal
from functools import partial
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import Engine

from infra.settings import Settings
from infra.stack import Stack
from schemas.wire import Message
from tests.lane import QUEUE, Lane
from tests.system import System, until

CONSUMERS = ("dispatcher", "analyzer")
QUEUES = (QUEUE, "reelmill.analyzer")


@pytest.mark.row("X-03", "X-04", "X-09")
def test_a_memory_alarm_under_load(
    system: System, settings: Settings, database: Engine, stack: Stack, vhost: str
) -> None:
    system.start("gateway", "relay", "dispatcher", "analyzer")
    lane = Lane(settings, database)
    file = system.upload(b"hello", "hello.txt")
    for name in CONSUMERS:
        until(partial(_listens, system, name), f"{name} listens")
        system.signal(name, signal.SIGSTOP)
    lane.send(Message("probe.echo", b"{}", str(uuid4()), "probe.echo") for _ in range(300))
    accepted = [system.submit("analyze.sleep", {"file": file, "time": 0}) for _ in range(10)]
    refusals = 0

    def left() -> int:
        """Messages in the queues, unacknowledged ones included."""
        listed = stack.rabbitmqctl("list_queues", "--vhost", vhost, "--formatter", "json", "name", "messages")
        return sum(queue["messages"] for queue in orjson.loads(listed) if queue["name"] in QUEUES)

    def refused() -> bool:
        nonlocal refusals
        answer = system.http.post("/v1/jobs", json={"kind": "analyze.sleep", "params": {"file": file, "time": 0}})
        if answer.status_code == 202:
            accepted.append(answer.json()["id"])
        refusals += answer.status_code == 503
        return refusals > 10

    until(lambda: left() >= 310, "everything waits")  # the relay may think that a message was lost, and send it again
    stack.rabbitmqctl("set_vm_memory_high_watermark", "0.00001")
    try:
        until(refused, "people are told to wait")
        for name in CONSUMERS:
            system.signal(name, signal.SIGCONT)
        until(lambda: left() == 0, "what was there is done and acknowledged while the alarm lasts")
        before = refusals
        until(lambda: refused() and refusals > before, "it still lasts, and others are told to wait")
    finally:
        stack.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
    for job_id in accepted:
        assert system.until_state(job_id, "succeeded")["attempt"] == 1
    assert lane.states() == {"succeeded": 300 + len(accepted)}
    assert lane.facts().count("succeeded") == 300 + len(accepted)


def _listens(system: System, name: str) -> bool:
    return "broker.connected" in system.log(name)
