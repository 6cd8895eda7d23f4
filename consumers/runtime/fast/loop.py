"""The loop of a fast consumer: take what has arrived, do it, commit it, acknowledge it, all in one thread.

While the database is away nothing is acknowledged, and the batch in hand is tried again; while the broker is away there
is nothing to do. What is not acknowledged when the process ends is delivered to another one, and what of it had been
committed is over by then.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import wait

import structlog

from consumers.registry import Work
from consumers.runtime.database import Database, DatabaseAway
from consumers.runtime.fast.committing import Committer
from consumers.runtime.fast.hands import Hands
from consumers.runtime.fast.pauses import Pauses
from consumers.runtime.fast.reading import Reader
from consumers.runtime.fast.rejects import Rejects
from consumers.runtime.fast.requests import Refused, Request
from consumers.runtime.fast.writing import Writer
from infra import garbage, metrics
from infra.broker import Delivery, Intake
from infra.settings import Settings

LONGEST_TURN_SECONDS = 0.5
SILENT_SECONDS = 60.0
RETRY_SECONDS = 1.0
MOST_JOBS = 1000
READING_SECONDS = 0.02
"""A batch is what has arrived and can be read in this time: work that has begun also wants its end."""

log = structlog.get_logger()


@dataclass(slots=True)
class Batch:
    """Deliveries that are committed and acknowledged together."""

    deliveries: list[Delivery] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


class FastRuntime:
    """One consumer process of the fast lane."""

    def __init__(self, settings: Settings, name: str, queue: str, work: Mapping[str, Work], database: Database) -> None:
        amqp_url = settings.amqp_url.get_secret_value()
        hands = Hands(work)
        self.intake = Intake(amqp_url, queue, settings.fast_prefetch)
        # While one half is being committed, the broker sends the other.
        self._most_deliveries = max(settings.fast_prefetch // 2, 1)
        self._reader = Reader(hands)
        self._committer = Committer(database, Writer(hands, Pauses(), f"{name}@{socket.gethostname()}:{os.getpid()}"))
        self._rejects = Rejects(amqp_url, queue, self.intake)
        self._batch = Batch()
        self._not_before = 0.0
        self._turned = time.monotonic()
        self._stopping = False

    def alive(self) -> bool:
        """Whether the loop turns, and hears its queue unless the broker is away."""
        return time.monotonic() - self._turned < SILENT_SECONDS and self.intake.deaf_seconds() < SILENT_SECONDS

    @property
    def held(self) -> bool:
        """Whether a batch waits for the database."""
        return bool(self._batch.deliveries)

    def stop(self) -> None:
        """Take no more; the batch in hand is finished."""
        self._stopping = True

    def run(self) -> None:
        """Turn until stopped."""
        self.intake.resume()
        garbage.spare()
        while not self._stopping:
            self.turn()
        log.info("stopping", action="consumer.stopping")

    def close(self) -> None:
        """Hang up. What is not acknowledged goes back to its queue."""
        self.intake.close()

    def turn(self) -> None:
        """Wait for messages, for half a second at most, and do what has arrived."""
        if self.held or not self.intake.pending:
            wait(self.intake.sockets(), min(self.intake.due(), LONGEST_TURN_SECONDS))
        self._turned = time.monotonic()
        self.intake.turn()
        if self.held and not self.intake.current(self._batch.deliveries[0]):
            self._batch = Batch()  # all of it is delivered again
        if not self.held:
            self._batch = self._take()
        if self.held and self._turned >= self._not_before:
            self._settle(self._batch)
        self.intake.settle_all(self._rejects.turn())

    def _take(self) -> Batch:
        batch = Batch()
        until = time.monotonic() + READING_SECONDS
        while len(batch.deliveries) < self._most_deliveries and len(batch.requests) < MOST_JOBS:
            delivery = self.intake.take() if time.monotonic() < until else None
            if delivery is None:
                break
            requests, refused = self._reader.read(delivery)
            batch.deliveries.append(delivery)
            batch.requests += requests
            batch.refused += refused
        return batch

    def _settle(self, batch: Batch) -> None:
        """Commit a batch, park what is wrong with it, acknowledge the rest at once."""
        try:
            refused = self._committer.commit(batch.requests, batch.refused)
        except DatabaseAway as error:
            self._not_before = time.monotonic() + RETRY_SECONDS
            log.warning("batch held", action="batch.held", jobs=len(batch.requests), reason=str(error))
            return
        self._batch = Batch()
        self._rejects.add(refused)
        kept = {id(each.source) for each in refused}
        self.intake.settle_all([*(d for d in batch.deliveries if id(d) not in kept), *self._rejects.turn()])
        metrics.jobs_batch_size.observe(len(batch.requests))
        metrics.jobs_redelivered_total.inc(sum(delivery.redelivered for delivery in batch.deliveries))
        log.debug("batch committed", action="batch.committed", jobs=len(batch.requests), refused=len(refused))
