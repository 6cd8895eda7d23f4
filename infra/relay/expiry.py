"""Let go of what is old enough: facts, what was noted about their deliveries, and cached values."""

import structlog
from sqlalchemy import Connection, Engine

from infra import cache, events, webhooks
from infra.relay.transact import transact
from infra.settings import Settings

log = structlog.get_logger()

BATCH = 5000
DAY_SECONDS = 24 * 3600


class Expiry:
    """What nobody keeps any longer. A fact that has not gone out everywhere stays, however old it is."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._seconds = settings.event_days * DAY_SECONDS
        self._engine = engine

    async def retire(self) -> bool:
        """Delete a batch; True when there may be more."""
        went = await transact(self._engine, _retire, self._seconds)
        if went:
            log.info("facts let go", action="relay.retired", events=went)
        values = await transact(self._engine, cache.retire, BATCH)
        return BATCH in {went, values}


def _retire(connection: Connection, age_seconds: float) -> int:
    went = events.retire(connection, age_seconds, BATCH)
    if went:
        webhooks.forget(connection)
    return went
