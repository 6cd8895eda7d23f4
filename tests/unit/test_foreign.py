"""Messages of producers that speak AMQP only, before any server is asked."""

import pytest

from consumers.registry import work_of
from consumers.runtime import foreign
from consumers.runtime.foreign import Unprocessable
from infra.broker import Delivery
from schemas.registry import Consumer
from schemas.wire import PACKED


def test_only_the_fast_lane_takes_packed_messages() -> None:
    delivery = Delivery(b"{}", "analyze.sleep", {"content_type": PACKED, "message_id": "pack-1"}, {})
    with pytest.raises(Unprocessable) as refusal:
        foreign.read(delivery, work_of(Consumer.ANALYZER))
    assert refusal.value.code == "packed_not_supported"
