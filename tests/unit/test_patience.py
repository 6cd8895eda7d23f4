"""A broker that is away is asked less and less often; a message that breaks something costs no patience."""

import time

import pytest

from infra.broker.connection import BrokerAway
from infra.broker.patience import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, Patience


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    return Patience()


@pytest.mark.parametrize("error", [BrokerAway("nobody answers"), ConnectionRefusedError(), TimeoutError()])
def test_each_wait_is_longer_up_to_the_longest(patience: Patience, error: Exception) -> None:
    for wanted in (FIRST_WAIT_SECONDS, 2 * FIRST_WAIT_SECONDS, 4 * FIRST_WAIT_SECONDS):
        patience.failed(error)
        assert 0.8 * wanted <= patience.left() <= 1.2 * wanted + 1e-6
    for _ in range(20):
        patience.failed(error)
    assert patience.left() <= 1.2 * LONGEST_WAIT_SECONDS + 1e-6
    assert patience.left() >= 0.8 * LONGEST_WAIT_SECONDS - 1e-6


def test_once_heard_it_is_short_again(patience: Patience) -> None:
    for _ in range(5):
        patience.failed(BrokerAway("nobody answers"))
    patience.heard()
    patience.failed(BrokerAway("nobody answers"))
    assert patience.left() <= 1.2 * FIRST_WAIT_SECONDS + 1e-6


def test_what_one_message_breaks_is_tried_again_at_once(patience: Patience) -> None:
    for _ in range(5):
        patience.failed(ValueError("a message"))
    assert patience.left() <= 1.2 * FIRST_WAIT_SECONDS + 1e-6
