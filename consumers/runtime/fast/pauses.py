"""Which kinds are paused, asked once a second: that long a pause takes to be heard, and a resume too.

A job that is held back a moment after the resume is let in with the relay's next round.
"""

import time

from sqlalchemy import Connection

from infra import fast

FRESH_SECONDS = 1.0


class Pauses:
    """Remembers the answer for a second."""

    def __init__(self) -> None:
        self._paused: frozenset[str] = frozenset()
        self._fresh_until = 0.0

    def now(self, connection: Connection) -> frozenset[str]:
        """The kinds that are paused."""
        if time.monotonic() >= self._fresh_until:
            self._paused = fast.paused(connection)
            self._fresh_until = time.monotonic() + FRESH_SECONDS
        return self._paused
