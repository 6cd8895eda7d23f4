"""The leased lane: one thread that never blocks for long, and a child process per slot that does the work.

Deliver, claim, commit, acknowledge at once, run, beat, end under the token. So the broker's patience with messages that
are not acknowledged never matters, a blip of its connection never runs a job twice, and nothing waits behind a busy
consumer. While the database is away nothing is settled; while the broker is away running jobs go on and end.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import wait

import structlog

from consumers.outcome import Fail
from consumers.registry import ON_DEVICES, Work
from consumers.runtime import devices, endings, tally
from consumers.runtime.admission import Admission
from consumers.runtime.child import Boot
from consumers.runtime.database import Database, DatabaseAway
from consumers.runtime.door import Door
from consumers.runtime.endings import FENCED, UNSTORABLE, Cancelled, HandedBack
from consumers.runtime.foreign import Unresolved
from consumers.runtime.scratch import Scratch
from consumers.runtime.slots import Slot
from infra import claims, db
from infra.broker import Intake
from infra.line import Seat
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
        self._database = database
        worker = f"{name}@{socket.gethostname()}:{os.getpid()}"
        seat = Seat(name, [one.kind for one in work.values()], worker, settings.lease_seconds)
        self._door = Door(settings.amqp_url.get_secret_value(), queue, Admission(work, seat), database)
        self._scratch = Scratch(settings.scratch)
        boot = Boot(settings, name, work, os.getpid())
        on_device = name in ON_DEVICES
        places = [devices.place(settings, n, worker) if on_device else None for n in range(settings.slots)]
        self.slots = [Slot(replace(boot, place=place), self._scratch) for place in places]
        self._next_beat = 0.0
        self._turned = time.monotonic()
        self._deadline: float | None = None
        self._silent_after: float | None = None
        self._leaving = False

    @property
    def intake(self) -> Intake:
        """Where messages come from."""
        return self._door.intake

    def alive(self) -> bool:
        """Whether the loop turns, and hears the broker."""
        return max(time.monotonic() - self._turned, self.intake.deaf_seconds()) < SILENT_SECONDS

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
        self._door.leave()
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
            # Counted from here: whoever was not let run past his deadline has not said anything yet.
            self._silent_after = self._silent_after or time.monotonic() + LAST_WORDS_SECONDS
        for slot in self.slots:
            self._settle(slot)
        if self._deadline is None:
            self._fill()
        else:
            self._leave()
        tally.slots(self.slots)

    def _finished(self) -> bool:
        if self._deadline is None:
            return False
        late = self._silent_after is not None and time.monotonic() > self._silent_after
        return late or all(slot.idle for slot in self.slots)

    def _fill(self) -> None:
        """Ask for work while there is room, and begin it."""
        for slot in self.slots:
            if slot.place is not None and not slot.place.held and slot.place.take(self._settled):
                log.info("the device is ours", action="device.taken", device=self._settings.device)
        free = [slot for slot in self.slots if slot.free]
        claim = self._door.serve(len(free))
        if claim is not None:
            free[0].start(claim)
            tally.started(claim)

    def _settled(self, worker: str) -> bool:
        """Whether a dead worker has no claims any more. Those that are left expire now, and the relay takes them."""
        try:
            with self._database.transaction() as connection:
                return claims.forsake(connection, worker) == 0
        except DatabaseAway:
            return False

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            log.info("stopping", action="consumer.stopping", busy=sum(not slot.idle for slot in self.slots))
        self._door.leave()

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
                settled = endings.settle(connection, attempt.claim, attempt.ending)
        except DatabaseAway as error:
            attempt.settle_after = time.monotonic() + RETRY_SECONDS
            log.warning("ending kept", action="attempt.kept", reason=str(error))
        except Unresolved as error:
            attempt.ending = Fail(error.code, error.message)
        except Exception as error:
            log.error("an ending cannot be stored", action="attempt.unstorable", exc_info=error)
            attempt.ending = UNSTORABLE if attempt.ending != UNSTORABLE else FENCED
        else:
            tally.ended(attempt, settled.state)
            slot.clear()
            if settled.work:
                self._door.knock()
