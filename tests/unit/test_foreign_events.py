"""CloudEvents in binary mode over AMQP: where a message has no id or type of its own, those of the event count."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from consumers.registry import work_of
from consumers.runtime import foreign
from infra.broker import Delivery
from schemas.commands import LONGEST_KEY, event_key
from schemas.registry import Consumer

WORK = work_of(Consumer.DISPATCHER)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SOURCE = "https://example.com/cameras/7"


def event(prefix: str = "cloudEvents_", properties: dict[str, Any] | None = None, **attributes: str) -> Delivery:
    given = {"specversion": "1.0", "source": SOURCE, "type": "probe.echo"} | attributes
    headers = {prefix + name: value for name, value in given.items()}
    return Delivery(b'{"text":"x"}', "cameras", properties or {}, headers)


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
def test_an_event_names_its_kind_its_key_and_its_trace(prefix: str) -> None:
    command = foreign.read(event(prefix, id="41", traceparent=TRACE), WORK)
    assert (command.kind.name, command.params) == ("probe.echo", {"text": "x"})
    assert command.idempotency_key == f"{SOURCE} 41"
    assert command.traceparent == TRACE


def test_an_event_whose_id_is_a_uuid_names_its_job() -> None:
    job_id = uuid4()
    command = foreign.read(event(id=str(job_id)), WORK)
    assert (command.id, command.idempotency_key) == (job_id, None)


def test_the_messages_own_id_comes_first() -> None:
    mine = UUID(int=7)
    assert foreign.read(event(id="41", properties={"message_id": str(mine)}), WORK).id == mine
    assert foreign.read(event(id="41", properties={"message_id": "k"}), WORK).idempotency_key == "k"
    assert foreign.read(event(), WORK).idempotency_key is None


def test_a_key_is_never_longer_than_a_key_may_be() -> None:
    assert event_key(SOURCE, "41") == f"{SOURCE} 41"
    long, other = event_key(SOURCE, "4" * LONGEST_KEY), event_key(SOURCE, "5" * LONGEST_KEY)
    assert len(long) <= LONGEST_KEY
    assert long != other
    assert event_key("a", "\n").isprintable()
