"""The leased lane: one thread that never blocks for long, and a child process per slot that does the work.

Deliver, claim, commit, acknowledge at once, run, beat, end under the token. So the broker's patience with messages that
are not acknowledged never matters, a blip of its connection never runs a job twice, and nothing waits behind a busy
consumer. While the database is away nothing is settled; while the broker is away running jobs go on and end.
"""

import os
import socket
import time
from collections.abc import Mapping
from multiprocessing.connection import wait

import structlog

from consumers.registry import Work
from consumers.runtime import endings
from consumers.runtime.admission import Admission
from consumers.runtime.child import Boot
from consumers.runtime.database import Database, DatabaseAway
from consumers.runtime.endings import FENCED, UNSTORABLE, Cancelled, HandedBack
from consumers.runtime.foreign import Unprocessable
from consumers.runtime.parking import Parking
from consumers.runtime.scratch import Scratch
from consumers.runtime.slots import Attempt, Slot
from infra import claims, db, metrics, telemetry
from infra.broker import BrokerAway, Delivery, Intake
from infra.claims import Claim
from infra.settings import Settings

LONGEST_TURN_SECONDS = 0.5
SILENT_SECONDS = 60.0
RETRY_SECONDS = 1.0
LAST_WORDS_SECONDS = 5.0

log = structlog.get_logger()


class Runtime:
    """One consumer process: takes messages of one queue, runs them in `settings.slots` children."""

    def __init__(self, settings: Settings, name: str, queue: str, work: Mapping[str, Work], database: Database) -> None:
        self._settings = settings
        self._queue = queue
        self._database = database
        self._amqp_url = settings.amqp_url.get_secret_value()
        self._admission = Admission(work, f"{name}@{socket.gethostname()}:{os.getpid()}", settings.lease_seconds)
        self._scratch = Scratch(settings.scratch)
        boot = Boot(settings, name, work, os.getpid())
        self.slots = [Slot(boot, self._scratch) for _ in range(settings.slots)]
        self.intake = Intake(self._amqp_url, queue)
        self._parking = Parking(self._amqp_url, queue, self.intake)
        self._held: Delivery | None = None
        self._hold_until = 0.0
        self._next_beat = 0.0
        self._turned = time.monotonic()
        self._deadline: float | None = None
        self._leaving = False

    def alive(self) -> bool:
        """Whether the loop turns."""
        return time.monotonic() - self._turned < SILENT_SECONDS

    def manned(self) -> bool:
        """Whether every slot has its child."""
        return all(slot.manned for slot in self.slots)

    def stop(self) -> None:
        """Take no more, give running jobs their grace, hand the rest back. A second call ends the grace."""
        grace = self._settings.grace_seconds if self._deadline is None else 0
        self._deadline = time.monotonic() + grace

    def run(self) -> None:
        """Turn until stopped."""
        while not self._finished():
            self.turn()

    def close(self) -> None:
        """Kill the children, hang up, remove the work folders. What is not settled is left to its lease."""
        for slot in self.slots:
            slot.close()
        self.intake.close()
        self._scratch.close()

    def turn(self) -> None:
        """Wait for something to happen, for half a second at most, and do what it asks for."""
        signals = [*self.intake.sockets(), *(signal for slot in self.slots for signal in slot.signals())]
        wait(signals, LONGEST_TURN_SECONDS if self._leaving else min(self.intake.due(), LONGEST_TURN_SECONDS))
        self._turned = time.monotonic()
        for slot in self.slots:
            slot.listen()
        if self._turned >= self._next_beat:
            self._next_beat = self._turned + self._settings.beat_seconds
            self._beat()
        if self._deadline is not None and self._turned >= self._deadline:
            for slot in self.slots:
                slot.stop(HandedBack())
        for slot in self.slots:
            self._settle(slot)
        self._listen()
        self._report()

    def _finished(self) -> bool:
        if self._deadline is None:
            return False
        return all(slot.idle for slot in self.slots) or time.monotonic() > self._deadline + LAST_WORDS_SECONDS

    def _listen(self) -> None:
        """Ask the broker for messages while there is room, and admit one."""
        if self._deadline is not None:
            self._leave()
            return
        room = any(slot.free for slot in self.slots)
        if room:
            self.intake.resume()
        self.intake.turn()
        if room and self._held is None:
            self._held = self.intake.take()
        if self._held is not None and not self.intake.current(self._held):
            self._held = None  # the broker delivers it again
        if room and self._held is not None and time.monotonic() >= self._hold_until:
            self._admit(self._held)

    def _leave(self) -> None:
        """Take no more. Every claim has been acknowledged; a message that has not goes back to its queue."""
        if not self._leaving:
            self._leaving = True
            log.info("stopping", action="consumer.stopping", busy=sum(not slot.idle for slot in self.slots))
        self._held = None
        self.intake.close()

    def _admit(self, delivery: Delivery) -> None:
        try:
            with self._database.transaction() as connection:
                claim = self._admission.admit(connection, delivery)
        except DatabaseAway as error:
            self._hold(error)
        except Unprocessable as error:
            self._park(delivery, error)
        except Exception as error:
            # Whatever a message does to us, it is the message that goes, not the consumer.
            log.error("a message cannot be admitted", action="message.refused", exc_info=error)
            self._park(delivery, Unprocessable("unstorable", f"admitting it failed with {type(error).__name__}"))
        else:
            self._accept(delivery, claim)

    def _accept(self, delivery: Delivery, claim: Claim | None) -> None:
        """Acknowledge what is committed, and run it. When this fills the last slot, first ask for no more."""
        if claim is not None and sum(slot.free for slot in self.slots) == 1:
            self.intake.pause()
        self.intake.settle(delivery)
        self._held = None
        if delivery.redelivered:
            metrics.jobs_redelivered_total.inc()
        if claim is None:
            return
        next(slot for slot in self.slots if slot.free).start(claim)
        metrics.jobs_queue_wait_seconds.labels(claim.kind).observe(claim.waited_seconds)
        with telemetry.about(claim.id, claim.traceparent):
            log.info("attempt started", action="attempt.started", kind=claim.kind, attempt=claim.attempt)

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

    def _beat(self) -> None:
        """Renew every claim in one statement; learn which are lost and which are to be cancelled."""
        for slot in self.slots:
            slot.check_limits()
        held = [(slot, slot.attempt.claim) for slot in self.slots if slot.attempt is not None]
        if not held:
            return
        try:
            with self._database.transaction() as connection:
                db.run(connection, "claims.relaxed")
                pulses = claims.beat(connection, [claim for _, claim in held], self._settings.lease_seconds)
        except DatabaseAway as error:
            log.warning("beat missed", action="beat.missed", reason=str(error))
            return
        for slot, claim in held:
            pulse = pulses.get(claim.id)
            if pulse is None:
                slot.fence()
            elif pulse.cancelled:
                slot.stop(Cancelled())

    def _settle(self, slot: Slot) -> None:
        """Write an ending down and make room; while the database is away, keep it and the claim."""
        attempt = slot.attempt
        if attempt is None or attempt.ending is None or time.monotonic() < attempt.settle_after:
            return
        try:
            with self._database.transaction() as connection:
                state = endings.settle(connection, attempt.claim, attempt.ending)
        except DatabaseAway as error:
            attempt.settle_after = time.monotonic() + RETRY_SECONDS
            log.warning("ending kept", action="attempt.kept", reason=str(error))
        except Exception as error:
            log.error("an ending cannot be stored", action="attempt.unstorable", exc_info=error)
            attempt.ending = UNSTORABLE if attempt.ending != UNSTORABLE else FENCED
        else:
            self._tell(attempt, state)
            slot.clear()

    def _tell(self, attempt: Attempt, state: str | None) -> None:
        assert attempt.ending is not None
        seconds = time.monotonic() - attempt.started
        endings.count(attempt.claim, attempt.ending, state, seconds)
        with telemetry.about(attempt.claim.id, attempt.claim.traceparent):
            log.info(
                "attempt ended",
                action="attempt.ended",
                kind=attempt.claim.kind,
                attempt=attempt.claim.attempt,
                ending=endings.reason_of(attempt.ending),
                state=state or "fenced",
                seconds=round(seconds, 3),
            )

    def _report(self) -> None:
        busy = sum(not slot.idle for slot in self.slots)
        metrics.jobs_worker_slots.labels("busy").set(busy)
        metrics.jobs_worker_slots.labels("free").set(len(self.slots) - busy)
