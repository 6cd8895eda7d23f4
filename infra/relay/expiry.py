"""Let go of facts that are old enough, oldest first, and of what was noted about their deliveries."""

import structlog
from sqlalchemy import Connection, Engine

from infra import events, webhooks
from infra.relay.transact import transact
from infra.settings import Settings

log = structlog.get_logger()

BATCH = 5000
DAY_SECONDS = 24 * 3600


class Expiry:
    """The facts that nobody keeps any longer. One that has not gone out everywhere stays, however old it is."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._seconds = settings.event_days * DAY_SECONDS
        self._engine = engine

    async def retire(self) -> bool:
        """Delete a batch; True when there may be more."""
        went = await transact(self._engine, _retire, self._seconds)
        if went:
            log.info("facts let go", action="relay.retired", events=went)
        return went == BATCH


def _retire(connection: Connection, age_seconds: float) -> int:
    went = events.retire(connection, age_seconds, BATCH)
    if went:
        webhooks.forget(connection)
    return went
