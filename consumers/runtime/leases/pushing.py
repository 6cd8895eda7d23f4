"""Keeping the queues of collections filled, for consumers who take items without asking."""

import time
from uuid import UUID

import structlog

from consumers.runtime.database import Database
from infra.broker.offers import Offer, Offers
from infra.leasing import pushing

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
        """Fill up what has run low. Returns leases whose items the broker has not taken, with their collections.

        Raises DatabaseAway.
        """
        if self._pushes:
            self._offers.turn()
        if self._offers.connected or not self._pushes:
            self._fill()
        refused = self._offers.refused()
        if refused:
            log.warning("items not pushed", action="leases.not_pushed", items=len(refused))
        return {UUID(offer.name): offer.collection for offer in refused}

    def _fill(self) -> None:
        if time.monotonic() < self._next:
            return
        with self._database.transaction() as connection:
            self._pushes = pushing.wanted(connection)
            offered = pushing.offer(connection) if self._offers.connected else []
        self._next = time.monotonic() + (TICK_SECONDS if self._pushes else IDLE_SECONDS)
        for case, seconds in offered:
            [lease] = case.leases
            body = case.answer.body if case.answer is not None else b""
            self._offers.send(Offer(case.order.collection, str(lease), body, seconds))
        if offered:
            log.info("items pushed", action="leases.pushed", items=len(offered))

    def close(self) -> None:
        """Hang up."""
        self._offers.close()
