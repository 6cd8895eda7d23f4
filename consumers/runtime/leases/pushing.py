"""Keeping the queues of collections filled, for consumers who take items without asking."""

import time
from collections.abc import Sequence
from uuid import UUID

import structlog

from consumers.runtime.database import Database
from infra.broker.offers import Offers
from infra.leasing import pushing
from infra.leasing.cases import Case

TICK_SECONDS = 0.25
IDLE_SECONDS = 1.0

log = structlog.get_logger()


class Pushing:
    """Puts items into queues, a few times a second. Belongs to the thread of the leases."""

    def __init__(self, amqp_url: str, database: Database) -> None:
        self._offers = Offers(amqp_url)
        self._database = database
        self._next = 0.0
        self._pushes = False
        """Whether any collection wants it: only then is there a connection."""

    def turn(self) -> dict[UUID, str]:
        """Fill up what has run low. Returns leases that could not be put anywhere, with their collections.

        Raises DatabaseAway.
        """
        if self._pushes and not self._offers.turn():
            return {}
        if time.monotonic() < self._next:
            return {}
        with self._database.transaction() as connection:
            self._pushes = pushing.wanted(connection)
            offered = pushing.offer(connection) if self._offers.connected else []
        self._next = time.monotonic() + (TICK_SECONDS if self._pushes else IDLE_SECONDS)
        return self._sent(offered)

    def _sent(self, offered: Sequence[tuple[Case, float]]) -> dict[UUID, str]:
        unsent = {}
        for case, seconds in offered:
            [lease] = case.leases
            body = case.answer.body if case.answer is not None else b""
            if not self._offers.send(case.order.collection, str(lease), body, seconds):
                unsent[lease] = case.order.collection
        if offered:
            log.info("items pushed", action="leases.pushed", items=len(offered) - len(unsent))
        return unsent

    def close(self) -> None:
        """Hang up."""
        self._offers.close()
