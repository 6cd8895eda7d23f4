"""What falls due: scheduled jobs whose time has come, and claims whose holder went silent. The database's clock."""

import structlog
from sqlalchemy import Connection, Engine

from infra import claims, db, metrics
from infra.relay.transact import transact

log = structlog.get_logger()

BATCH = 200


class Clock:
    """Moves that only time causes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def promote(self) -> bool:
        """Queue the scheduled jobs that are due; True when there are more."""
        return await transact(self._engine, _promote) == BATCH

    async def rescue(self) -> bool:
        """Take expired claims away; True when there are more."""
        reached = await transact(self._engine, claims.rescue, BATCH)
        for state, number in reached.items():
            metrics.jobs_leases_expired_total.labels(state).inc(number)
            log.warning("claims expired", action="relay.rescued", state=state, jobs=number)
        return sum(reached.values()) == BATCH


def _promote(connection: Connection) -> int:
    return db.run(connection, "outbox.promote", batch=BATCH)
