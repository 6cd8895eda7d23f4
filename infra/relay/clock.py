"""What falls due, or follows from what has happened, although nobody asks for it. The database's clock throughout."""

import structlog
from sqlalchemy import Connection, Engine

from infra import claims, db, dependents, exports, line, metrics, resumable, retention, schedules
from infra.holds import Round
from infra.relay.transact import transact
from infra.settings import Settings
from schemas.registry import KINDS

log = structlog.get_logger()

BATCH = 200


class Clock:
    """Moves that only time, or another job, causes. Each method does a batch, and says whether there may be more."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._terms = retention.terms_of(settings)
        self._export_seconds = settings.export_seconds
        self._engine = engine
        self._round = Round(tuple(KINDS.values()))

    async def promote(self) -> bool:
        """Queue the scheduled jobs that are due."""
        return await transact(self._engine, _promote) == BATCH

    async def rescue(self) -> bool:
        """Take expired claims away."""
        reached = await transact(self._engine, claims.rescue, BATCH)
        for state, number in reached.items():
            metrics.jobs_leases_expired_total.labels(state).inc(number)
            log.warning("claims expired", action="relay.rescued", state=state, jobs=number)
        return sum(reached.values()) == BATCH

    async def let_in(self) -> bool:
        """Let in the jobs put aside that fit again."""
        return await transact(self._engine, self._round.go)

    async def pay(self) -> bool:
        """Make up for messages that were spent on jobs that did not count."""
        await transact(self._engine, line.pay)
        return False

    async def follow(self) -> bool:
        """Let go, or cancel, the jobs whose wait for others is over."""
        return await transact(self._engine, dependents.follow)

    async def recur(self) -> bool:
        """Make the jobs of schedules that are due."""
        return await transact(self._engine, schedules.run_due)

    async def expire(self) -> bool:
        """Let go of old exports."""
        return self._export_seconds > 0 and await transact(self._engine, exports.expire, self._export_seconds)

    async def retire(self) -> bool:
        """Let go of old jobs and uploads, and of what does not fit."""
        return (await transact(self._engine, retention.let_go, self._terms)).more

    async def give_up(self) -> bool:
        """Let go of uploads that nobody goes on with."""
        return await transact(self._engine, resumable.expire)


def _promote(connection: Connection) -> int:
    return db.run(connection, "outbox.promote", batch=BATCH)
