"""Collections for the bench: any number of items, as an import leaves them, and as work leaves them."""

from sqlalchemy import Connection, Engine, text

from infra import collections, db, imports
from infra.leasing import desk
from infra.leasing.collection import enter
from schemas.collections import CollectionRequest
from schemas.leases import ORDER

STAGE = text("""
insert into staged select n, 'k' || n, '', json_build_object(
    'start_seconds', '30.000', 'end_seconds', '40.000', 'positive_labels', '/m/09x0r,/t/dd00088'
) from generate_series(1, :items) n
""")
PER_LEASE = 1000
PER_BATCH = 50


def fill(engine: Engine, name: str, items: int, done: float = 0.0) -> None:
    """A collection with so many items, a part of which has been handed out and done."""
    with engine.begin() as connection:
        collections.put(connection, name, CollectionRequest(), "bench")
    with engine.begin() as connection:
        collection = enter(connection, [name])[name]
        db.run(connection, "imports.stage")
        db.run(connection, "imports.clear")
        connection.execute(STAGE, {"items": items})
        imports.merge(connection, collection, items)
    left = round(items * done / PER_LEASE)
    while left > 0:
        with engine.begin() as connection:
            _work(connection, name, min(left, PER_BATCH))
        left -= PER_BATCH


def settle(engine: Engine) -> None:
    """Statistics and visibility as they are after a while; nothing waits for the disk."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum (analyze) items, item_states, grants, leases, item_tallies, worker_tallies"))
        connection.execute(text("checkpoint"))


def _work(connection: Connection, name: str, leases: int) -> None:
    about = {"collection": name, "owner": "bench"}
    take = ORDER.validate_python({"op": "acquire", "count": PER_LEASE, "worker": "filler"} | about)
    taken = [case.leases[0] for case in desk.answer(connection, [take] * leases)]
    desk.answer(
        connection,
        [ORDER.validate_python({"op": "submit", "lease": lease, "completed": "all"} | about) for lease in taken],
    )
