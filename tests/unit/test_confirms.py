"""Delivery tags: acks in any order and shape settle each message once, and give its place back once."""

import asyncio
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from infra.confirms import Confirmation, Confirms

A = ("x", "a", "1")
B = ("x", "b", "2")
ACKED, NACKED, RETURNED, UNKNOWN = (
    Confirmation.ACKED,
    Confirmation.NACKED,
    Confirmation.RETURNED,
    Confirmation.UNKNOWN,
)


def after(number: int, act: Callable[[Confirms], None]) -> tuple[list[Confirmation | None], int]:
    """Send `number` messages, act, and give their fates (None: still waiting) and the places given back."""
    freed: list[None] = []

    async def run() -> list[Confirmation | None]:
        confirms = Confirms(lambda: freed.append(None))
        fates = [confirms.sent(A if n % 2 else B) for n in range(number)]
        act(confirms)
        return [fate.result() if fate.done() else None for fate in fates]

    return asyncio.run(run()), len(freed)


def test_one_tag_at_a_time_in_any_order() -> None:
    def act(confirms: Confirms) -> None:
        confirms.confirmed(3, False, True)
        confirms.confirmed(1, False, False)

    assert after(3, act) == ([NACKED, None, ACKED], 2)


def test_multiple_covers_everything_up_to_the_tag_that_is_still_open() -> None:
    def act(confirms: Confirms) -> None:
        confirms.confirmed(2, False, False)
        confirms.confirmed(3, True, True)

    assert after(4, act) == ([ACKED, NACKED, ACKED, None], 3)


def test_multiple_with_tag_zero_covers_all() -> None:
    assert after(3, lambda confirms: confirms.confirmed(0, True, False)) == ([NACKED] * 3, 3)


def test_a_tag_that_is_not_open_changes_nothing() -> None:
    def act(confirms: Confirms) -> None:
        confirms.confirmed(9, False, True)
        confirms.confirmed(1, False, True)
        confirms.confirmed(1, False, False)

    assert after(2, act) == ([ACKED, None], 1)


def test_a_return_marks_the_oldest_of_its_kind_and_settles_with_its_ack() -> None:
    def act(confirms: Confirms) -> None:
        confirms.returned(A)
        confirms.confirmed(3, True, True)

    assert after(4, act) == ([ACKED, RETURNED, ACKED, None], 3)


def test_equal_messages_that_both_come_back_are_both_returned() -> None:
    def act(confirms: Confirms) -> None:
        confirms.returned(A)
        confirms.returned(A)
        confirms.confirmed(0, True, True)

    assert after(4, act) == ([ACKED, RETURNED, ACKED, RETURNED], 4)


def test_a_dead_channel_leaves_the_rest_unknown() -> None:
    def act(confirms: Confirms) -> None:
        confirms.confirmed(1, False, True)
        confirms.abandon()
        confirms.confirmed(2, False, True)

    assert after(3, act) == ([ACKED, UNKNOWN, UNKNOWN], 3)


def test_a_place_is_given_back_although_the_publisher_has_lost_patience() -> None:
    freed: list[None] = []

    async def run() -> None:
        confirms = Confirms(lambda: freed.append(None))
        confirms.sent(A).cancel()
        assert len(confirms) == 1
        confirms.confirmed(1, False, True)
        assert not confirms

    asyncio.run(run())
    assert freed == [None]


@given(
    number=st.integers(1, 30),
    answers=st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), max_size=30),
)
def test_whatever_the_broker_answers_every_message_is_settled_exactly_once(
    number: int, answers: list[tuple[int, bool, bool]]
) -> None:
    def act(confirms: Confirms) -> None:
        for tag, multiple, accepted in answers:
            confirms.confirmed(tag, multiple, accepted)
        confirms.abandon()

    fates, freed = after(number, act)
    assert freed == number
    assert None not in fates
