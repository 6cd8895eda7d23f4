"""The dispatcher's two loops in one process: small jobs, and questions about items. Either stops the other."""

import threading
from collections.abc import Mapping

from consumers.registry import Work
from consumers.runtime.database import Database
from consumers.runtime.fast.loop import FastRuntime
from consumers.runtime.leases.loop import LeaseRuntime
from infra import db
from infra.settings import Settings


class DispatcherRuntime:
    """Jobs of the fast lane in the thread that runs it, leases in another with its own connections."""

    def __init__(self, settings: Settings, name: str, queue: str, work: Mapping[str, Work], database: Database) -> None:
        self._jobs = FastRuntime(settings, name, queue, work, database)
        url = settings.database_url.get_secret_value()
        self._database = Database(db.connect(url, pool=2, application="reelmill-leases"))
        self._leases = LeaseRuntime(settings, self._database)
        self._thread = threading.Thread(target=self._lease, name="leases", daemon=True)

    def alive(self) -> bool:
        """Whether both loops turn."""
        return self._jobs.alive() and self._leases.alive()

    def connected(self) -> bool:
        """Whether both hear their queue."""
        return self._jobs.intake.connected and self._leases.intake.connected

    def stop(self) -> None:
        """Take no more; what is in hand is finished."""
        self._jobs.stop()
        self._leases.stop()

    def run(self) -> None:
        """Turn until stopped."""
        self._thread.start()
        self._jobs.run()

    def close(self) -> None:
        """Hang up, once the questions in hand are answered."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._jobs.close()
        self._leases.close()
        self._database.close()

    def _lease(self) -> None:
        try:
            self._leases.run()
        finally:
            self.stop()
