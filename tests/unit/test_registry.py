"""Every kind has a handler, and the handler can be imported."""

import pytest

from consumers.registry import HANDLERS, lane_of, load, work_of
from schemas.registry import KINDS, Consumer, Lane


def test_every_kind_has_a_handler_and_no_handler_is_left_over() -> None:
    assert set(HANDLERS) == set(KINDS)
    assert {name for consumer in Consumer for name in work_of(consumer)} == set(KINDS)


@pytest.mark.parametrize("consumer", Consumer)
def test_handlers_can_be_imported(consumer: Consumer) -> None:
    for work in work_of(consumer).values():
        assert callable(load(work))


@pytest.mark.parametrize("consumer", Consumer)
def test_all_kinds_of_a_consumer_are_of_one_lane(consumer: Consumer) -> None:
    assert lane_of(work_of(consumer)) in Lane
