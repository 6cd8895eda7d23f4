"""Collections and their items, for those who look; and the making of collections."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra import db
from schemas.collections import CollectionRequest, Counts, WorkerScore
from schemas.items import ItemState

ENDED_BADLY = frozenset({ItemState.MISSING, ItemState.FAILED})


class UnknownCollection(Exception):
    """There is no collection of that name."""


def put(connection: Connection, name: str, wanted: CollectionRequest, created_by: str) -> bool | None:
    """Make a collection, or change its rules. True when it is new, None when its ordering is another one."""
    terms = {
        "name": name,
        "ordering": wanted.ordering.value,
        "ttl_seconds": wanted.ttl,
        "max_attempts": wanted.max_attempts,
        "retry_seconds": wanted.retry_seconds,
        "per_worker": wanted.per_worker,
        "push": wanted.push,
    }
    if db.row(connection, "items.create", **terms, created_by=created_by) is not None:
        return True
    return False if db.run(connection, "items.change", **terms) else None


def get(connection: Connection, name: str) -> db.Row:
    """A collection's row. Raises UnknownCollection."""
    row = db.row(connection, "items.collection", name=name)
    if row is None:
        raise UnknownCollection
    return row


def listing(connection: Connection, after: str, limit: int) -> Sequence[db.Row]:
    """Collections by name."""
    return db.rows(connection, "items.collections", after=after, limit=limit)


def counts(connection: Connection, name: str, partition: str | None = None, state: ItemState | None = None) -> Counts:
    """How many items are in which state: sums that are kept, whatever the size. Raises UnknownCollection."""
    rows = db.rows(connection, "items.counts", collection=get(connection, name)["id"], partition=partition, state=state)
    by_state = dict.fromkeys(ItemState if state is None else [state], 0)
    by_partition: dict[str, dict[ItemState, int]] = {}
    for row in rows:
        by_state[ItemState(row["state"])] += row["items"]
        by_partition.setdefault(row["partition"], {})[ItemState(row["state"])] = row["items"]
    return Counts(total=sum(by_state.values()), by_state=by_state, by_partition=by_partition)


def leaderboard(connection: Connection, name: str) -> list[WorkerScore]:
    """What each worker has done, the most successful first. Raises UnknownCollection."""
    scores: dict[str, WorkerScore] = {}
    for row in db.rows(connection, "items.workers", collection=get(connection, name)["id"]):
        score = scores.setdefault(row["worker"], WorkerScore(worker=row["worker"]))
        setattr(score, row["what"], row["items"])
    return sorted(scores.values(), key=lambda score: (-score.completed, -score.taken, score.worker))


def item(connection: Connection, name: str, key: str) -> db.Row | None:
    """One item with whoever holds it. Raises UnknownCollection."""
    return db.row(connection, "items.get", collection=get(connection, name)["id"], key=key)


def history(connection: Connection, name: str, key: str) -> Sequence[db.Row]:
    """The moves of an item, oldest first; none for an item that there is not. Raises UnknownCollection."""
    found = item(connection, name, key)
    if found is None:
        return []
    return db.rows(connection, "items.history", pool=found["pool_id"], position=found["position"])


def found(connection: Connection, item: db.Row) -> Sequence[db.Row]:
    """Where an item was found, the first place first."""
    return db.rows(connection, "fetch_tasks.of_item", pool=item["pool_id"], position=item["position"])


def page(
    connection: Connection, name: str, partition: str | None, after: tuple[int, int], limit: int
) -> Sequence[db.Row]:
    """Items in the order in which they are kept. Raises UnknownCollection."""
    collection = get(connection, name)["id"]
    pools = [row["id"] for row in db.rows(connection, "items.pools_of", collection=collection, partition=partition)]
    pool, position = after
    return db.rows(
        connection, "items.page", collection=collection, pools=pools, pool=pool, position=position, limit=limit
    )


def page_ended_badly(
    connection: Connection,
    name: str,
    state: ItemState,
    partition: str | None,
    after: tuple[int, int],
    limit: int,
    dead: bool = False,
) -> Sequence[db.Row]:
    """Items that are missing or failed; `dead`: only those that are not offered again. Raises UnknownCollection."""
    pool, position = after
    return db.rows(
        connection,
        "items.page_ended_badly",
        collection=get(connection, name)["id"],
        state=state,
        partition=partition,
        dead=dead,
        pool=pool,
        position=position,
        limit=limit,
    )


def overlaps(connection: Connection, name: str) -> Sequence[db.Row]:
    """The audit: every hand-out that another one contradicts. There is none. Raises UnknownCollection."""
    return db.rows(connection, "items.overlaps", collection=get(connection, name)["id"])
