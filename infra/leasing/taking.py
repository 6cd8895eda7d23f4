"""Taking items: all that wait in a collection are served by one statement, and its result is cut into leases.

Returned items are taken one by one; fresh ones as stretches of positions, so that a lease of a hundred costs two rows.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from uuid import UUID

import orjson
from sqlalchemy import Connection

from infra import db
from infra.ids import new_id
from infra.leasing.collection import Collection
from schemas.items import Ordering

WINDOW = 5_000
"""Positions that one statement looks at, beyond those it needs: there may be many in a row that are done already."""
MOST_POOLS = 4
"""Pools that one batch draws from, each with a statement of its own, while they have enough."""
MANY = 1000
"""Items that are offered again: fewer are sorted when somebody asks."""
WINDOWS = 24
"""Statements that one batch may spend on a pool whose items are nearly all done."""


@dataclass(slots=True)
class Want:
    """One request for items."""

    owner: str
    worker: str
    count: int
    ttl: float
    request_id: str | None = None
    terms: int | None = None
    """What is asked for, hashed: a request id stands for one request."""
    lease_id: UUID = field(default_factory=new_id)
    taken: int = 0
    told: list[str] = field(default_factory=list)
    """The items as JSON, without brackets."""
    expires_at: datetime | None = None

    @property
    def need(self) -> int:
        """How many items it still lacks."""
        return self.count - self.taken

    def give(self, items: int, told: str) -> None:
        """Add items to it."""
        self.taken += items
        self.told.append(told)


def take(connection: Connection, collection: Collection, partition: str | None, wants: Sequence[Want]) -> None:
    """Give each of these what there is, in their order, and make their leases."""
    if collection.per_worker is not None:
        _bound(connection, collection, wants)
    sources: list[Callable[[Connection, Collection, str | None, Sequence[Want]], None]] = [_returned, _fresh]
    if collection.ordering is Ordering.ARRIVAL:
        sources.reverse()  # never handed out comes before handed out long ago
    for source in sources:
        hungry = [want for want in wants if want.need > 0]
        if hungry:
            source(connection, collection, partition, hungry)
    _add(connection, collection, [want for want in wants if want.taken])


def _bound(connection: Connection, collection: Collection, wants: Sequence[Want]) -> None:
    rows = db.rows(connection, "taking.loads", collection=collection.id, workers=[want.worker for want in wants])
    left = {row["worker"]: (collection.per_worker or 0) - row["open"] for row in rows}
    for want in wants:
        free = left.setdefault(want.worker, collection.per_worker or 0)
        want.count = max(min(want.count, free), 0)
        left[want.worker] -= want.count


def _returned(connection: Connection, collection: Collection, partition: str | None, wants: Sequence[Want]) -> None:
    if not db.rows(connection, "taking.waiting", collection=collection.id):
        return
    [offered] = db.rows(connection, "taking.offered", collection=collection.id, partition=partition, many=MANY)
    if not offered["items"]:
        return
    rows = db.rows(
        connection,
        "taking.returned",
        collection=collection.id,
        partitions=offered["partitions"],
        many=MANY,
        few=offered["items"] < MANY,
        need=sum(want.need for want in wants),
        starts=_starts(wants),
        leases=db.array(want.lease_id for want in wants),
        workers=[want.worker for want in wants],
    )
    for row in rows:
        wants[row["share"] - 1].give(row["items"], row["told"])


def _fresh(connection: Connection, collection: Collection, partition: str | None, wants: Sequence[Want]) -> None:
    pools = db.rows(connection, "taking.open_pools", collection=collection.id, partition=partition)
    if collection.ordering is Ordering.RANDOM and len(pools) > 1:
        pools = _in_random_turn(pools)
        for pool, some in _spread(pools[:MOST_POOLS], wants):
            _from_pool(connection, pool, some)
        if all(want.need <= 0 for want in wants):
            return
        pools = db.rows(connection, "taking.open_pools", collection=collection.id, partition=partition)
    for pool in pools:
        hungry = [want for want in wants if want.need > 0]
        if not hungry:
            return
        _from_pool(connection, pool, hungry)


def _in_random_turn(pools: Sequence[db.Row]) -> Sequence[db.Row]:
    """At random, each as likely as it has items left."""
    # Exponential clocks: the first to ring is drawn in proportion to its rate, and so is the next among the others.
    return sorted(pools, key=lambda pool: random.expovariate(_left(pool)))


def _spread(pools: Sequence[db.Row], wants: Sequence[Want]) -> Iterable[tuple[db.Row, list[Want]]]:
    """Each of these to a pool of its own choice, so that those who ask together do not all get from one import."""
    chosen = random.choices(range(len(pools)), [_left(pool) for pool in pools], k=len(wants))  # noqa: S311 - no secret
    for number in sorted(set(chosen)):
        yield pools[number], [want for want, choice in zip(wants, chosen, strict=True) if choice == number]


def _left(pool: db.Row) -> int:
    return max(int(pool["size"] - pool["reached"]), 1)


def _from_pool(connection: Connection, pool: db.Row, wants: Sequence[Want]) -> None:
    start = pool["reached"]
    reached = _next(connection, pool, wants)
    granted = reached > start
    for _ in range(WINDOWS):
        hungry = [want for want in wants if want.need > 0]
        if not hungry or reached >= pool["size"]:
            break
        need = sum(want.need for want in hungry)
        until = min(reached + need + WINDOW, pool["size"])
        found = _stretches(connection, pool, reached, until, need, hungry)
        granted = granted or bool(found)
        for row in found:
            hungry[row["share"] - 1].give(row["items"], row["told"])
        reached = found[-1]["hi"] if sum(row["items"] for row in found) == need else until
    if reached >= pool["size"]:
        db.run(connection, "taking.drain", pool=pool["id"])
    elif not granted and reached > start:
        db.run(connection, "taking.pass_over", pool=pool["id"], lo=start, hi=reached)


def _next(connection: Connection, pool: db.Row, wants: Sequence[Want]) -> int:
    """Give the very next positions, when there are enough of them and all are untouched. How far that reaches."""
    reached, *his = accumulate((want.need for want in wants), initial=int(pool["reached"]))
    if his[-1] > pool["size"]:
        return reached
    found = db.rows(
        connection,
        "taking.next",
        collection=pool["collection_id"],
        pool=pool["id"],
        reached=reached,
        until=his[-1],
        los=db.array([reached, *his[:-1]]),
        his=db.array(his),
        leases=db.array(want.lease_id for want in wants),
        partition_told=_partition_told(pool),
    )
    for row in found:
        wants[row["share"] - 1].give(row["items"], row["told"])
    return his[-1] if found else reached


def _stretches(
    connection: Connection, pool: db.Row, reached: int, until: int, need: int, wants: Sequence[Want]
) -> Sequence[db.Row]:
    return db.rows(
        connection,
        "taking.fresh",
        collection=pool["collection_id"],
        pool=pool["id"],
        reached=reached,
        until=until,
        need=need,
        starts=_starts(wants),
        leases=db.array(want.lease_id for want in wants),
        partition_told=_partition_told(pool),
    )


def _partition_told(pool: db.Row) -> str:
    return f',"partition":{orjson.dumps(pool["partition"]).decode()}'


def _starts(wants: Sequence[Want]) -> str:
    """The number of the first item that each gets, counted from 1."""
    return db.array(accumulate((want.need for want in wants[:-1]), initial=1))


def _add(connection: Connection, collection: Collection, wants: Sequence[Want]) -> None:
    if not wants:
        return
    rows = db.rows(
        connection,
        "leases.add",
        collection=collection.id,
        ids=db.array(want.lease_id for want in wants),
        owners=[want.owner for want in wants],
        workers=[want.worker for want in wants],
        requests=[want.request_id for want in wants],
        terms=[want.terms for want in wants],
        ttls=db.array(want.ttl for want in wants),
        items=db.array(want.taken for want in wants),
    )
    until = {row["id"]: row["expires_at"] for row in rows}
    for want in wants:
        want.expires_at = until[want.lease_id]
