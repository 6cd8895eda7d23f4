"""Committing commands: one transaction for many, an answer for each. Everything here runs in one thread of the outbox.

Commands that neither read files nor wait for others are a single statement, so they go over a connection of their own
that commits by itself: one round trip instead of four.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from infra import db, submission
from infra.quotas import Quotas
from infra.submission import Receipt, Verdict
from schemas.commands import Command

log = structlog.get_logger()

Answer = Receipt | Exception

DEADLOCKS = frozenset({"40P01", "40001"})
ATTEMPTS = 5
PAUSE_SECONDS = 0.01
# So long the connection is trusted without a question; then the pool asks it whether it is still there.
TRUSTED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """A command, and how many live jobs its submitter may have."""

    command: Command
    live_jobs: int | None = None


class Ledger:
    """Writes orders down."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._quotas = Quotas()
        self._line: Connection | None = None
        self._trusted_until = 0.0

    def commit(self, orders: Sequence[Order], sending: bool) -> list[Answer]:
        """Answer every order. What is refused for what is in it is tried again in halves, so that only culprits fail.

        With `sending`, the jobs of the fast lane count as published: the caller publishes them now.
        """
        try:
            return list(self._submit(orders, sending))
        except Exception as error:
            if len(orders) > 1 and not isinstance(error, db.AWAY):
                middle = len(orders) // 2
                return [*self.commit(orders[:middle], sending), *self.commit(orders[middle:], sending)]
            log.error("commit failed", action="outbox.failed", commands=len(orders), exc_info=error)
            return [error] * len(orders)

    def close(self) -> None:
        """Hang up."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _submit(self, orders: Sequence[Order], sending: bool) -> list[Receipt]:
        plain = not any(order.command.inputs or order.command.after for order in orders)
        for attempt in range(1, ATTEMPTS):
            try:
                return self._once(orders, sending, plain)
            except DBAPIError as error:
                if getattr(error.orig, "pgcode", None) not in DEADLOCKS:
                    raise
            # Whom it gave way to must come first now, or the same circle closes again.
            time.sleep(PAUSE_SECONDS * 2**attempt * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        return self._once(orders, sending, plain)

    def _once(self, orders: Sequence[Order], sending: bool, plain: bool) -> list[Receipt]:
        with self._own_line() if plain else self._transaction() as connection:
            return self._within_quotas(connection, orders, sending)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            db.run(connection, "outbox.patience")
            yield connection

    @contextmanager
    def _own_line(self) -> Iterator[Connection]:
        """A connection on which every statement is committed as it ends."""
        if time.monotonic() > self._trusted_until:
            self.close()
        line = self._line or self._open()
        try:
            yield line
            line.rollback()  # nothing is open in the database: this is the library's own state
        except BaseException:
            self.close()
            raise
        self._trusted_until = time.monotonic() + TRUSTED_SECONDS

    def _open(self) -> Connection:
        line = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        line.detach()
        self._line = line
        db.run(line, "submission.patience")
        return line

    def _within_quotas(self, connection: Connection, orders: Sequence[Order], sending: bool) -> list[Receipt]:
        limits = {o.command.submitted_by: o.live_jobs for o in orders if o.live_jobs is not None}
        if not limits:
            return submission.submit(connection, [order.command for order in orders], sending)
        over = self._over(connection, orders, limits)
        within = [order.command for n, order in enumerate(orders) if n not in over]
        made = submission.submit(connection, within, sending) if within else []
        for submitter, jobs in _created(within, made).items():
            self._quotas.took(submitter, jobs)
        rest = iter(made)
        return [over[n] if n in over else next(rest) for n in range(len(orders))]

    def _over(self, connection: Connection, orders: Sequence[Order], limits: dict[str, int]) -> dict[int, Receipt]:
        """By their place, the orders that find no room. What was asked for before takes none, and is answered so."""
        wanted = Counter(o.command.submitted_by for o in orders if o.command.submitted_by in limits)
        room = {name: self._quotas.room(connection, name, limits[name], n) for name, n in wanted.items()}
        over: dict[int, Receipt] = {}
        for n, order in enumerate(orders):
            name = order.command.submitted_by
            if name not in room or room[name] == wanted[name]:
                continue
            known = submission.earlier(connection, order.command)
            if known is not None:
                over[n] = known
            elif room[name] > 0:
                room[name] -= 1
            else:
                over[n] = Receipt(Verdict.OVER_QUOTA, None)
        return over


def _created(commands: Sequence[Command], receipts: Sequence[Receipt]) -> Counter[str]:
    return Counter(
        command.submitted_by
        for command, receipt in zip(commands, receipts, strict=True)
        if receipt.verdict is Verdict.CREATED
    )
