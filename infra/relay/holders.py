"""Items whose holders were silent for too long go back; what has been counted in pieces is added up."""

import structlog
from sqlalchemy import Engine

from infra.leasing import expiry
from infra.relay.transact import transact

log = structlog.get_logger()


class Holders:
    """Those who hold items under lease."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def sweep(self) -> bool:
        """End leases that have run out; True when there may be more."""
        ended = await transact(self._engine, expiry.sweep)
        if ended:
            log.info("leases expired", action="relay.leases_expired", leases=ended)
        return ended > 0

    async def fold(self) -> bool:
        """Add up the counts."""
        await transact(self._engine, expiry.fold)
        return False
