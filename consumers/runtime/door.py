"""Where work comes in: messages of one queue, one at a time and only while there is room, each turned into a claim."""

import time

import structlog

from consumers.runtime.admission import Admission
from consumers.runtime.database import Database, DatabaseAway
from consumers.runtime.foreign import Unprocessable
from consumers.runtime.parking import Parking
from infra import metrics
from infra.broker import BrokerAway, Delivery, Intake
from infra.claims import Claim

RETRY_SECONDS = 1.0

log = structlog.get_logger()


class Door:
    """The way in to one consumer process."""

    def __init__(self, amqp_url: str, queue: str, admission: Admission, database: Database) -> None:
        self.intake = Intake(amqp_url, queue)
        self._admission = admission
        self._database = database
        self._parking = Parking(amqp_url, queue, self.intake)
        self._held: Delivery | None = None
        self._hold_until = 0.0
        self._closed = False
        self._knocked = False

    def knock(self) -> None:
        """Somebody in line has just been let in: there is work, although no message says so."""
        self._knocked = True

    def serve(self, free: int) -> Claim | None:
        """Turn what has arrived, if anything, into a claim. `free` slots have room for one."""
        claim = self._answer_knock(free)
        free -= claim is not None
        if free:
            self._closed = False
            self.intake.resume()
        self.intake.turn()
        if self._held is None and free:
            self._held = self.intake.take()
        if self._held is not None and not self.intake.current(self._held):
            self._held = None  # the broker delivers it again
        if claim is not None or self._held is None or not free or time.monotonic() < self._hold_until:
            return claim
        return self._admit(self._held, free)

    def leave(self) -> None:
        """Take no more. Every claim has been acknowledged; a message that has not goes back to its queue."""
        self._held = None
        self.intake.close()

    def _answer_knock(self, free: int) -> Claim | None:
        """Claim without a message, but not into the last slot while one may be on its way: it would wait in vain."""
        knocked, self._knocked = self._knocked, False
        if not knocked or not (free > 1 or (free and self._closed)):
            return None
        try:
            return self._admission.seek(self._database)
        except DatabaseAway:
            return None  # the relay publishes what nobody takes

    def _admit(self, delivery: Delivery, free: int) -> Claim | None:
        try:
            claim = self._admission.admit(self._database, delivery)
        except DatabaseAway as error:
            self._hold(error)
        except Unprocessable as error:
            self._park(delivery, error)
        except Exception as error:
            # Whatever a message does to us, it is the message that goes, not the consumer.
            log.error("a message cannot be admitted", action="message.refused", exc_info=error)
            self._park(delivery, Unprocessable("unstorable", f"admitting it failed with {type(error).__name__}"))
        else:
            self._settle(delivery, last=claim is not None and free == 1)
            return claim
        return None

    def _settle(self, delivery: Delivery, last: bool) -> None:
        """Acknowledge what is committed. When this fills the last slot, first ask for no more."""
        if last:
            self._closed = True
            self.intake.pause()
        self.intake.settle(delivery)
        self._held = None
        if delivery.redelivered:
            metrics.jobs_redelivered_total.inc()

    def _park(self, delivery: Delivery, problem: Unprocessable) -> None:
        try:
            parked = self._parking.park(delivery, problem)
        except BrokerAway as error:
            self._hold(error)
            return
        if not parked:
            self._hold(problem)
            return
        self._held = None
        metrics.jobs_parked_total.labels(problem.code).inc()
        log.warning("message parked", action="message.parked", code=problem.code, reason=problem.detail)

    def _hold(self, error: Exception) -> None:
        """Keep the message, unacknowledged, and try again: while it is held, the broker sends no other."""
        self._hold_until = time.monotonic() + RETRY_SECONDS
        log.warning("message held", action="message.held", reason=str(error))
