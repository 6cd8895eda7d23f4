"""Reconciling the store with the rows at once, as the relay does when objects have become old enough."""

import anyio
from sqlalchemy import Engine, text

from infra.relay.disposal import Disposal
from infra.settings import Settings
from infra.storage import Storage


def reconcile(settings: Settings, database: Engine) -> None:
    """Sweep what no row names, whatever its age, and erase what rows have let go of."""
    disposal = Disposal(settings.model_copy(update={"orphan_seconds": 0}), database, Storage(settings))

    async def run() -> None:
        while await disposal.discard():
            pass
        await disposal.sweep()
        while await disposal.erase():
            pass

    anyio.run(run)


def named_objects(database: Engine) -> set[str]:
    """The keys that rows name."""
    with database.connect() as connection:
        return set(connection.execute(text("select object_key from blobs where object_key is not null")).scalars())
