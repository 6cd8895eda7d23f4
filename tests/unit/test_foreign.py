"""Messages of producers that speak AMQP only, before any server is asked."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from consumers.registry import work_of
from consumers.runtime import foreign
from consumers.runtime.foreign import Unprocessable
from infra.broker import Delivery
from infra.line import Wakeup
from schemas.registry import Consumer
from schemas.wire import PACKED, job_message


def test_only_the_fast_lane_takes_packed_messages() -> None:
    delivery = Delivery(b"{}", "analyze.sleep", {"content_type": PACKED, "message_id": "pack-1"}, {})
    with pytest.raises(Unprocessable) as refusal:
        foreign.read(delivery, work_of(Consumer.ANALYZER))
    assert refusal.value.code == "packed_not_supported"


def test_a_message_says_whom_it_wakes_and_ours_for_which_queueing() -> None:
    job_id, moment = UUID(int=7), datetime(2026, 11, 27, 12, 0, 0, 123456, UTC)
    sent = job_message(job_id, "analyze.sleep", {}, queued_at=moment)
    ours = Delivery(sent.body, sent.routing_key, {"message_id": sent.message_id}, sent.headers)
    theirs = Delivery(b"{}", "analyze.sleep", {"message_id": str(job_id)}, {})
    keyed = Delivery(b"{}", "analyze.sleep", {"message_id": "order 7"}, {})
    assert [foreign.wakeup_of(each) for each in (ours, theirs, keyed)] == [Wakeup(job_id, moment), Wakeup(job_id), None]
