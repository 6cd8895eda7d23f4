"""The loop of those who hand out items: all that has arrived is answered in one transaction.

An answer leaves after the commit, and its question is acknowledged after that. So a question whose answer got lost with
this process comes again, and gets the same lease; and what an answer gave to somebody who has gone is taken back.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import wait
from uuid import UUID

import orjson
import structlog

from consumers.runtime.database import Database, DatabaseAway, Locked
from consumers.runtime.fast.rejects import Rejects
from consumers.runtime.fast.requests import Refused
from consumers.runtime.foreign import Unprocessable
from consumers.runtime.leases.pushing import Pushing
from consumers.runtime.leases.reading import is_bundle, lifetime, read
from infra import metrics
from infra.broker import Delivery, Intake
from infra.broker.replies import Replies
from infra.leasing import desk
from infra.leasing.cases import Answer, Case
from infra.leasing.collection import enter_if_free
from infra.settings import Settings
from infra.topology import LEASES
from schemas.bundles import replied
from schemas.leases import Drop, Order

LONGEST_TURN_SECONDS = 0.5
SILENT_SECONDS = 60.0
RETRY_SECONDS = 0.5
BUSY_SECONDS = 5.0
BUSY_STATUS = 503
BROKEN = Answer(500, b'{"code":"internal_error","detail":"Something broke on our side; the log has it."}')

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Question:
    """A message and the orders in it, with the answers that are known so far."""

    delivery: Delivery
    orders: list[Order | Unprocessable]
    cases: list[Case] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """Questions that are answered together, and since when they are in hand."""

    asked: list[Question] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)


class LeaseRuntime:
    """Answers questions about items, in one thread."""

    def __init__(self, settings: Settings, database: Database) -> None:
        amqp_url = settings.amqp_url.get_secret_value()
        self.intake = Intake(amqp_url, LEASES, settings.fast_prefetch)
        self._most = max(settings.fast_prefetch // 2, 1)
        self._replies = Replies(amqp_url)
        self._pushing = Pushing(amqp_url, database)
        self._rejects = Rejects(amqp_url, LEASES, self.intake)
        self._database = database
        self._batch = Batch()
        self._not_before = 0.0
        self._turned = time.monotonic()
        self._busy: dict[str, float] = {}
        """Collections that somebody else keeps, and until when that is believed."""
        self._put_off: list[Question] = []
        """What nobody waits for, and nobody would ask again: done when its collection is free."""
        self._put_off_until = 0.0
        self._unheard: dict[UUID, str] = {}
        """Leases that nobody has heard of, and their collections."""
        self._take_back_at = 0.0
        self._stopping = False

    def alive(self) -> bool:
        """Whether the loop turns, and hears its queue unless the broker is away."""
        return time.monotonic() - self._turned < SILENT_SECONDS and self.intake.deaf_seconds() < SILENT_SECONDS

    def stop(self) -> None:
        """Take no more."""
        self._stopping = True

    def run(self) -> None:
        """Turn until stopped."""
        self.intake.resume()
        while not self._stopping:
            self.turn()

    def close(self) -> None:
        """Hang up. What is not acknowledged goes back to its queue."""
        self.intake.close()
        self._replies.close()
        self._pushing.close()

    def turn(self) -> None:
        """Wait for questions, for half a second at most, and answer what has arrived."""
        if self._batch.asked or not self.intake.pending:
            due = min(self.intake.due(), self._replies.due(), LONGEST_TURN_SECONDS)
            wait(self.intake.sockets(), due)
        self._turned = time.monotonic()
        self.intake.turn()
        ready = self._replies.turn()
        if self._batch.asked and not self.intake.current(self._batch.asked[0].delivery):
            self._batch = Batch()  # all of it is delivered again
        if not self._batch.asked and ready:
            self._batch = self._take()
        try:
            if self._turned >= self._not_before:
                self._settle()
                self._unheard |= self._pushing.turn()
        except DatabaseAway as error:
            self._not_before = time.monotonic() + RETRY_SECONDS
            log.warning("questions held", action="leases.held", questions=len(self._batch.asked), reason=str(error))
        self.intake.settle_all(self._rejects.turn())

    def _take(self) -> Batch:
        batch = Batch(self._due())
        orders = len(batch.asked)
        while orders < self._most and (delivery := self.intake.take()) is not None:
            try:
                question = Question(delivery, read(delivery))
            except Unprocessable as problem:
                self._refuse(delivery, problem)
                continue
            except Exception as error:
                # Whatever a message does to us, it is the message that goes, not the dispatcher.
                log.error("a message cannot be read", action="message.refused", exc_info=error)
                self._refuse(delivery, Unprocessable("undecodable", f"reading it failed with {type(error).__name__}"))
                continue
            batch.asked.append(question)
            orders += len(question.orders)
        return batch

    def _due(self) -> list[Question]:
        """What was put off, if it is time; what the broker delivers again is forgotten."""
        if not self._put_off or time.monotonic() < self._put_off_until:
            return []
        due, self._put_off = self._put_off, []
        return [question for question in due if self.intake.current(question.delivery)]

    def _noted(self, question: Question) -> bool:
        """Whether it only says that nobody has heard of a lease: that can be kept in mind instead of in the queue."""
        [order, *_] = question.orders
        if isinstance(order, Drop) and not order.charged:
            self._unheard[order.lease] = order.collection
            return True
        return False

    def _refuse(self, delivery: Delivery, problem: Unprocessable) -> None:
        """Say what is wrong to whoever waits; where nobody does, put the message where people look."""
        if "reply_to" not in delivery.properties:
            self._rejects.add([Refused(delivery, delivery, problem, None)])
        else:
            self._replies.send(delivery, 400, told(problem))
            self.intake.settle(delivery)

    def _settle(self) -> None:
        batch = self._batch
        age = time.monotonic() - batch.since
        waiting = [question for question in batch.asked if lifetime(question.delivery) > age]
        orders = [order for question in waiting for order in question.orders if not isinstance(order, Unprocessable)]
        answered = iter(self._answered(orders) if orders else [])
        for question in waiting:
            readable = sum(not isinstance(order, Unprocessable) for order in question.orders)
            question.cases = list(islice(answered, readable))
            self._reply(question)
        self._note_unheard(waiting)
        self._batch = Batch()
        later = [question for question in waiting if _is_to_wait(question) and not self._noted(question)]
        if later:
            if not self._put_off:
                self._put_off_until = time.monotonic() + RETRY_SECONDS
            self._put_off += later
            log.info("questions put off", action="leases.put_off", questions=len(later))
        self.intake.settle_all([question.delivery for question in batch.asked if question not in later])
        if orders:
            metrics.jobs_batch_size.observe(len(orders))
        self._take_back()

    def _answered(self, orders: Sequence[Order]) -> list[Case]:
        """All in one transaction; if one of them spoils it, each in its own. Raises DatabaseAway."""
        try:
            return self._together(orders)
        except DatabaseAway:
            raise
        except Exception as error:
            if len(orders) > 1:
                return [case for order in orders for case in self._answered([order])]
            log.error("a question breaks", action="leases.broke", exc_info=error)
            return [Case(orders[0], BROKEN)]

    def _together(self, orders: Sequence[Order]) -> list[Case]:
        """In one transaction. When somebody keeps a collection for long, the others are served without it."""
        now = time.monotonic()
        self._busy = {name: until for name, until in self._busy.items() if until > now}
        try:
            with self._database.transaction() as connection:
                cases = desk.answer(connection, orders, self._busy)
        except Locked:
            self._busy |= dict.fromkeys({order.collection for order in orders}, now + BUSY_SECONDS)
            with self._database.transaction() as connection:
                cases = desk.answer(connection, orders, self._busy)
        for case in cases:
            if case.answer is not None and case.answer.status != BUSY_STATUS:
                self._busy.pop(case.order.collection, None)
        return cases

    def _reply(self, question: Question) -> None:
        if "reply_to" not in question.delivery.properties:
            return
        left = iter(question.cases)
        answers = [
            _refusal(order) if isinstance(order, Unprocessable) else _of(next(left)) for order in question.orders
        ]
        status, body = answers[0]
        if is_bundle(question.delivery):
            status, body = 200, replied(answers)
        if not self._replies.send(question.delivery, status, body):
            log.warning("an answer was not sent", action="leases.not_sent")

    def _note_unheard(self, told: Sequence[Question]) -> None:
        """Remember the leases whose takers have gone, or that nobody can be told of."""
        leases: dict[str | None, dict[UUID, str]] = {}
        for question in told:
            for case in question.cases:
                if case.leases:
                    mine = leases.setdefault(question.delivery.properties.get("reply_to"), {})
                    mine |= dict.fromkeys(case.leases, case.order.collection)
        for reply_to, mine in leases.items():
            if reply_to is None or not self._replies.heard(reply_to):
                self._unheard |= mine

    def _take_back(self) -> None:
        if not self._unheard or time.monotonic() < self._take_back_at:
            return
        with self._database.transaction() as connection:
            entered = enter_if_free(connection, self._unheard.values())
            for name, collection in entered.items():
                mine = [lease for lease, where in self._unheard.items() if where == name]
                if collection is not None:
                    desk.take_back(connection, collection, mine)
        left = {lease: name for lease, name in self._unheard.items() if entered.get(name, name) is None}
        if len(left) < len(self._unheard):
            log.info("nobody heard of them", action="leases.taken_back", leases=len(self._unheard) - len(left))
        self._unheard = left
        if left:
            self._take_back_at = time.monotonic() + RETRY_SECONDS


def _is_to_wait(question: Question) -> bool:
    """Whether its collection is busy, and nobody would hear of it."""
    alone = "reply_to" not in question.delivery.properties
    return alone and any(_of(case)[0] == BUSY_STATUS for case in question.cases)


def _of(case: Case) -> tuple[int, bytes]:
    answer = case.answer or BROKEN
    return answer.status, answer.body


def _refusal(problem: Unprocessable) -> tuple[int, bytes]:
    return 400, told(problem)


def told(problem: Unprocessable) -> bytes:
    """A refusal as an answer."""
    return orjson.dumps({"code": problem.code, "detail": f"The request cannot be read: {problem.detail}."})
