"""Running an iterator ahead of its consumer: order, bounds, errors, and leaving early."""

import threading
from collections.abc import Generator
from threading import Event

import pytest

from consumers.ahead import Ahead
from tests.system import PATIENCE

Numbers = Generator[int, None, None]


def test_everything_arrives_in_order() -> None:
    with Ahead((number for number in range(1000)), room=3) as items:
        assert list(items) == list(range(1000))


def test_the_producer_stays_within_its_room() -> None:
    made, at_limit = [], Event()

    def source() -> Numbers:
        for number in range(100):
            made.append(number)
            # Two wait in the queue; the third is made and cannot be put there.
            if number == 2:
                at_limit.set()
            yield number

    with Ahead(source(), room=2) as items:
        assert at_limit.wait(PATIENCE)
        assert len(made) == 3
        assert list(items) == list(range(100))


def test_an_error_of_the_producer_reaches_the_consumer() -> None:
    def source() -> Numbers:
        yield 1
        raise LookupError("lost")

    seen = []
    with Ahead(source(), room=2) as items, pytest.raises(LookupError, match="lost"):
        seen += list(items)
    assert seen == []


def test_leaving_early_stops_the_producer_and_closes_it() -> None:
    closed = Event()

    def source() -> Numbers:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    before = set(threading.enumerate())
    with Ahead(source(), room=2) as items:
        assert next(iter(items)) == 0
    assert closed.is_set()
    assert set(threading.enumerate()) <= before


def test_an_error_of_the_consumer_stops_the_producer() -> None:
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError), Ahead((number for number in range(1_000_000)), room=2) as items:
        sum(1 // number for number in items)
    assert set(threading.enumerate()) <= before
