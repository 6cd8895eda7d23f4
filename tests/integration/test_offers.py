"""Items put into queues of a real broker: confirmed, or told as not taken."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from infra import topology
from infra.broker.offers import Offer, Offers
from infra.settings import Settings
from tests.broker import Broker, declare
from tests.system import until

QUEUE = f"{topology.ITEMS_PREFIX}c"


@pytest.fixture
def offers(settings: Settings) -> Iterator[Offers]:
    declare(settings)
    made = Offers(settings.amqp_url.get_secret_value())
    until(made.turn, "it is connected")
    yield made
    made.close()


def offer(number: int) -> Offer:
    return Offer("c", f"lease {number}", b"{}", 600)


def refused(offers: Offers) -> list[Any]:
    offers.turn()
    return offers.refused()


@pytest.mark.row("S0-22")
def test_what_was_sent_before_hanging_up_is_there(offers: Offers, settings: Settings) -> None:
    for number in range(500):
        offers.send(offer(number))
    offers.close()
    assert offers.refused() == []
    with Broker(settings) as broker:
        until(lambda: broker.depth(QUEUE) == 500, "all of it is in the queue")


def test_what_a_full_queue_refuses_is_told(offers: Offers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "LONGEST_QUEUE", 1)
    sent = 0
    told: list[Any] = []
    while not told:
        sent += 1
        offers.send(offer(sent))
        told = refused(offers)
    assert all(each.name.startswith("lease") for each in told)
    assert sent > 1


def test_what_a_connection_takes_with_it_is_told(offers: Offers) -> None:
    number = 0

    def lost() -> list[Any]:
        """A broker that is quick has confirmed it before the connection is cut: then another one is on its way."""
        nonlocal number
        number += 1
        until(offers.turn, "it is connected (again)")
        offers.send(offer(number))
        offers._wire.sock.shutdown(socket.SHUT_RDWR)
        until(lambda: not offers.turn(), "the connection is gone")
        return offers.refused()

    assert until(lost, "one is lost, and told") == [offer(number)]
    until(offers.turn, "it is connected again")
    offers.send(offer(number + 1))
    offers.close()
    assert offers.refused() == []
