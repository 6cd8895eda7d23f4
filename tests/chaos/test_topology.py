"""What we declare, and what our processes do on the broker, breaks none of RabbitMQ 4.3's rules."""

from typing import Any

import orjson
import pytest

from infra.stack import Stack
from infra.topology import DEAD, EXCHANGES, JOBS, QUEUES
from tests.system import System, until

#: Read by no version, refused by some, or the end of a message on 3.10.
FORBIDDEN = {"x-max-priority", "x-queue-mode", "x-message-deduplication", "x-ha-policy"}
PROCESSES = ("relay", "dispatcher", "analyzer", "splitter")


def listed(stack: Stack, vhost: str, what: str, *columns: str) -> list[dict[str, Any]]:
    """What `rabbitmqctl list_<what>` says."""
    rows = stack.rabbitmqctl(f"list_{what}", "--vhost", vhost, "--formatter", "json", *columns)
    return [dict(row) for row in orjson.loads(rows)]


@pytest.mark.row("X-05")
@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_every_queue_is_a_bounded_quorum_queue(queue: Any) -> None:
    given = queue.arguments
    assert given["x-queue-type"] == "quorum"
    assert int(given["x-delivery-limit"]) > 0
    assert not FORBIDDEN & set(given)
    if "x-dead-letter-exchange" in given:
        # At-least-once dead-lettering: what is refused here must have somewhere to go, and the queue must refuse too.
        assert given["x-dead-letter-strategy"] == "at-least-once"
        assert given["x-overflow"] == "reject-publish"
        # A queue of old has no consumer: it passes on all that comes, under another key.
        onward = JOBS if "x-dead-letter-routing-key" in given else DEAD
        assert given["x-dead-letter-exchange"] == onward
        assert any(each.exchange == DEAD for each in QUEUES)


def test_every_exchange_is_of_a_kind_that_every_broker_has() -> None:
    names = {exchange.name for exchange in EXCHANGES}
    assert {exchange.type for exchange in EXCHANGES} <= {"topic", "fanout", "direct"}
    assert {exchange.arguments.get("alternate-exchange") for exchange in EXCHANGES} - {None} <= names


@pytest.mark.row("X-05")
def test_what_runs_breaks_no_rule(system: System, stack: Stack, vhost: str) -> None:
    system.start("gateway", *PROCESSES)

    def consumers() -> bool:
        taken = {each["queue_name"] for each in listed(stack, vhost, "consumers", "queue_name")}
        return {"reelmill.dispatcher", "reelmill.analyzer", "reelmill.splitter"} <= taken

    until(consumers, "every queue has its consumer")
    queues = listed(stack, vhost, "queues", "name", "durable", "exclusive", "auto_delete", "type", "arguments")
    assert {queue.name for queue in QUEUES} <= {queue["name"] for queue in queues}
    for queue in queues:
        assert queue["durable"] or queue["exclusive"], f"{queue['name']} is transient and not exclusive"
        assert queue["type"] in {"quorum", "rabbit_quorum_queue"} or queue["exclusive"]
        assert not FORBIDDEN & {name for name, *_ in queue["arguments"]}
    for channel in listed(stack, vhost, "channels", "name", "global_prefetch_count"):
        assert channel["global_prefetch_count"] == 0, "a global qos is refused by quorum queues"
    for consumer in listed(stack, vhost, "consumers", "queue_name", "prefetch_count", "ack_required"):
        assert consumer["ack_required"], consumer
        assert consumer["prefetch_count"] > 0, consumer
    for exchange in listed(stack, vhost, "exchanges", "name", "durable"):
        assert exchange["durable"], exchange
