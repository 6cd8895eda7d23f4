"""Remove objects from the store: those that rows have let go of, and those that no row ever named.

A bucket belongs to one database: whatever else lies under our prefixes counts as an orphan once it is old enough.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

import structlog
from sqlalchemy import Connection, Engine

from infra import db, metrics, steps
from infra.relay.transact import transact
from infra.settings import Settings
from infra.storage import Storage

log = structlog.get_logger()

BATCH = 500
#: Under which prefixes we write, and the query that tells which of some objects there nobody needs.
PREFIXES = {
    "uploads/": "blobs.unnamed",
    "transfers/": "blobs.unnamed",
    "pieces/": "blobs.unnamed",
    "jobs/": "blobs.unnamed",
    "deliveries/": "deliveries.unneeded",
}


class Disposal:
    """The objects nobody needs."""

    def __init__(self, settings: Settings, engine: Engine, storage: Storage) -> None:
        self._orphan_seconds = settings.orphan_seconds
        self._engine = engine
        self._storage = storage

    async def erase(self) -> bool:
        """Remove a batch of the listed objects, then take them off the list; True when there are more."""
        keys = await transact(self._engine, _listed)
        removed = await self._remove(keys, "erased")
        refused = sorted(set(keys) - set(removed))
        if keys:
            await transact(self._engine, _erased, removed, refused)
        return len(keys) == BATCH and bool(removed)

    async def discard(self) -> bool:
        """Let go of a batch of what unsuccessful jobs made; True when there may be more."""
        return await transact(self._engine, steps.discard_ended, BATCH) > 0

    async def sweep(self) -> bool:
        """Look at every object once and remove the orphans, and what was written of objects that never came to be."""
        await asyncio.to_thread(self._storage.ensure_bucket)  # the first process to come makes it
        for prefix, unnamed in PREFIXES.items():
            found = self._storage.keys(prefix, self._orphan_seconds)
            while keys := await asyncio.to_thread(_next, found):
                await self._remove_orphans(keys, unnamed)
            await self._abort_transfers(prefix)
        return False

    async def _abort_transfers(self, prefix: str) -> None:
        over, refused = await asyncio.to_thread(self._storage.abort_transfers, prefix, self._orphan_seconds)
        if over or refused:
            metrics.objects_removed_total.labels("transfer").inc(over)
            log.info("transfers aborted", action="relay.aborted", prefix=prefix, transfers=over, refused=refused)

    async def _remove_orphans(self, keys: Sequence[str], unnamed: str) -> None:
        removed = await self._remove(await transact(self._engine, _unnamed, keys, unnamed), "orphan")
        if removed:
            log.info("orphans removed", action="relay.swept", objects=len(removed))

    async def _remove(self, keys: Sequence[str], reason: str) -> list[str]:
        """Remove objects; returns those that are gone. What the store refuses is told and holds up no other."""
        if not keys:
            return []
        refused = await asyncio.to_thread(self._storage.remove, keys)
        if refused:
            log.warning("objects not removed", action="relay.refused", objects=len(refused), example=min(refused))
        removed = [key for key in keys if key not in refused]
        metrics.objects_removed_total.labels(reason).inc(len(removed))
        return removed


def _next(found: Iterator[str]) -> list[str]:
    return list(islice(found, BATCH))


def _listed(connection: Connection) -> list[str]:
    return (
        [row["object_key"] for row in db.rows(connection, "blobs.erasures", batch=BATCH)] if _free(connection) else []
    )


def _erased(connection: Connection, removed: Sequence[str], refused: Sequence[str]) -> None:
    db.run(connection, "blobs.erased", object_key=removed)
    db.run(connection, "blobs.postpone", object_key=refused)


def _unnamed(connection: Connection, keys: Sequence[str], query: str) -> list[str]:
    if not _free(connection):
        return []
    return [row["object_key"] for row in db.rows(connection, query, object_key=keys)]


def _free(connection: Connection) -> bool:
    """Whether nobody is just copying what the rows name."""
    return bool(db.rows(connection, "backup.may_erase")[0]["free"])
