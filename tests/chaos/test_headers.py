"""A message goes round five times with the broker's own headers copied on purpose: 3.10 would drop it for a cycle."""

from typing import Any

import orjson
import pika
import pytest

from infra.settings import Settings
from infra.stack import Stack
from infra.topology import JOBS
from tests.broker import Broker, declare, publishing
from tests.system import System, until

SNIFFER = "chaos.sniffer"
ROUNDS = 5
DEATH: dict[str, Any] = {
    "queue": "reelmill.analyzer",
    "exchange": JOBS,
    "reason": "expired",
    "routing-keys": ["analyze.sleep"],
    "count": 3,
}


@pytest.mark.row("X-06")
def test_no_header_of_the_broker_is_ever_sent_again(system: System, settings: Settings, stack: Stack) -> None:
    declare(settings)
    system.start("gateway", "relay", "analyzer")
    file = system.upload(b"hello", "hello.txt")
    forged = {"x-death": [DEATH], "x-first-death-queue": "reelmill.analyzer", "x-delivery-count": 3, "shade": "blue"}
    with Broker(settings) as broker:
        broker.queue(SNIFFER, JOBS, x_queue_type="classic")  # a quorum queue adds headers of its own
        with publishing(settings.amqp_url.get_secret_value()) as channel:
            properties = pika.BasicProperties(delivery_mode=2, message_id="round and round", headers=forged)
            channel.basic_publish(JOBS, "analyze.sleep", b"{}", properties)
        for number in range(ROUNDS):
            # More than one where the broker was slow to confirm that it was parked: then it was parked once more.
            parked, *_ = until(lambda: _open(system), f"it is parked, for the {number + 1}. time")
            assert parked["headers"] == {"shade": "blue"} | {
                name: value for name, value in parked["headers"].items() if name.startswith("reelmill-")
            }
            mended = {"body": orjson.dumps({"file": file, "time": 0}).decode()} if number == ROUNDS - 1 else {}
            answer = system.http.post(f"/v1/parked/{parked['id']}/replay", json=mended or None)
            assert answer.is_success, answer.text
            assert answer.json()["resolution"] == "replayed"
        _, *replayed = broker.take_all(SNIFFER)
    assert len(replayed) == ROUNDS
    for _, sent, _ in replayed:
        assert not [name for name in sent.headers if name.startswith("x-")]
        assert sent.headers["shade"] == "blue"
    [job] = until(lambda: system.http.get("/v1/jobs", params={"state": "succeeded"}).json()["jobs"], "it is done")
    assert job["kind"] == "analyze.sleep"
    assert stack.rabbitmq.process is not None
    assert "cycle detected" not in stack.rabbitmq.process.log.read_text(errors="replace")


def _open(system: System) -> list[dict[str, Any]]:
    answer = system.http.get("/v1/parked", params={"open": 1})
    assert answer.is_success, answer.text
    messages = answer.json()["messages"]
    return [dict(system.http.get(f"/v1/parked/{message['id']}").json()) for message in messages]
