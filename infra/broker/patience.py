"""How long to leave the broker alone after it went away: longer each time, until it is heard again."""

import random
import time

from infra.broker.connection import TROUBLE, BrokerAway

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0


class Patience:
    """When to try the next time. Many lose the broker at once, so no two come back at the same moment."""

    def __init__(self) -> None:
        self._next_try = 0.0
        self._wait = FIRST_WAIT_SECONDS

    def left(self) -> float:
        """Seconds until the next try; zero when it is due."""
        return max(self._next_try - time.monotonic(), 0.0)

    def failed(self, error: Exception) -> None:
        """Wait again; longer the next time if the network was to blame, and not one message."""
        self._next_try = time.monotonic() + self._wait * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        if isinstance(error, (*TROUBLE, BrokerAway)):
            self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)

    def heard(self) -> None:
        """All is well: the next wait is short."""
        self._wait = FIRST_WAIT_SECONDS
