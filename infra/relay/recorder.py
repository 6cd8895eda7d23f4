"""Every relay writes down what lies in the parking queues, leader or not: acknowledged once it is a row.

A thread of its own, because what consumes belongs to one thread. A message that cannot be written down as it came is
written down without its headers: no message may hold up those behind it. Between commit and acknowledgement a crash
delivers a message again; then its identity keeps it from being recorded twice. A message that has none (an unroutable
one, or one without a message id that the broker took from its queue) may be recorded twice.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait

import structlog
from sqlalchemy import Engine

from infra import db, metrics, parked
from infra.broker import Delivery, Intake
from infra.parked import Parked
from infra.relay import cause
from infra.settings import Settings
from infra.topology import DEAD, UNROUTABLE

LONGEST_TURN_SECONDS = 0.5
RETRY_SECONDS = 1.0
SILENT_SECONDS = 60.0
BATCH = 20

log = structlog.get_logger()


class Recorder:
    """Consumes both parking queues until it is stopped."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        url = settings.amqp_url.get_secret_value()
        self._engine = engine
        self._lanes = [_Lane(queue, Intake(url, queue, BATCH)) for queue in (DEAD, UNROUTABLE)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._turned = time.monotonic()

    def start(self) -> None:
        """Begin; the broker may be away for as long as it likes."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in hand and hang up."""
        self._stopping.set()
        self._thread.join()

    def alive(self) -> bool:
        """Whether the loop turns and hears both queues, unless the broker is away."""
        deaf = max(lane.intake.deaf_seconds() for lane in self._lanes)
        return time.monotonic() - self._turned < SILENT_SECONDS and deaf < SILENT_SECONDS

    def _run(self) -> None:
        try:
            for lane in self._lanes:
                lane.intake.resume()
            while not self._stopping.is_set():
                self._turn()
        finally:
            for lane in self._lanes:
                lane.intake.close()

    def _turn(self) -> None:
        sockets = [socket for lane in self._lanes for socket in lane.intake.sockets()]
        wait(sockets, min(LONGEST_TURN_SECONDS, *(lane.intake.due() for lane in self._lanes)))
        self._turned = time.monotonic()
        for lane in self._lanes:
            lane.collect()
            if lane.batch and self._turned >= lane.not_before:
                self._record(lane)

    def _record(self, lane: "_Lane") -> None:
        try:
            new = self._write([_read(lane.queue, delivery) for delivery in lane.batch])
        except Exception as error:
            lane.not_before = time.monotonic() + RETRY_SECONDS
            log.warning("messages are not recorded yet", action="recorder.held", queue=lane.queue, exc_info=error)
            return
        lane.intake.settle_all(lane.batch)
        lane.batch = []
        metrics.messages_recorded_total.labels(lane.queue).inc(new)
        log.info("messages recorded", action="recorder.recorded", queue=lane.queue, messages=new)

    def _write(self, messages: Sequence[Parked]) -> int:
        """All in one transaction; if that is refused for what is in one of them, each for itself."""
        try:
            with self._engine.begin() as connection:
                db.run(connection, "claims.patience")
                return parked.record(connection, messages)
        except db.AWAY:
            raise
        except Exception as error:
            if len(messages) > 1:
                return sum(self._write([message]) for message in messages)
            if not messages[0].headers and not messages[0].properties:
                raise
            log.error("a message is recorded without its headers", action="recorder.stripped", exc_info=error)
            return self._write([replace(messages[0], headers={}, properties={})])


def _read(queue: str, delivery: Delivery) -> Parked:
    try:
        return cause.parked(queue, delivery)
    except Exception as error:
        log.error("a parked message cannot be understood", action="recorder.unread", exc_info=error)
        code, detail = "unreadable", "its headers make no sense to the recorder, whose log says why"
        return Parked(queue, "", code, detail, cause.fingerprint(queue, "", code, detail), delivery.body, {}, {})


class _Lane:
    """One parking queue, and what came out of it and is not written down yet."""

    def __init__(self, queue: str, intake: Intake) -> None:
        self.queue = queue
        self.intake = intake
        self.batch: list[Delivery] = []
        self.not_before = 0.0

    def collect(self) -> None:
        """Turn the intake and take what has arrived; what the broker will deliver again is forgotten."""
        self.intake.turn()
        self.batch = [delivery for delivery in self.batch if self.intake.current(delivery)]
        self.batch += self.intake.take_all(BATCH - len(self.batch))
