"""Leases that go on, or that nobody wants: extended, abandoned, dropped by whoever had them from a queue."""

from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import Connection

from infra import db
from infra.leasing.cases import Answer, Case, known
from infra.leasing.collection import Collection
from infra.leasing.returning import give_back
from schemas.leases import Abandon, Drop, Extend, ExtensionView

UNACKNOWLEDGED = ("not_acknowledged", "Whoever had it from the queue did not acknowledge it.")


def extend(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Extend]]) -> None:
    """Hold leases for longer."""
    mine = known(connection, collection, cases)
    if not mine:
        return
    wanted = {order.lease: order.ttl for _, order, _ in mine}
    rows = db.rows(connection, "leases.extend", ids=list(wanted), ttls=list(wanted.values()))
    held = {row["id"]: row for row in rows}
    for case, order, row in mine:
        now = held.get(order.lease)
        if now is None:
            case.refuse(409, "lease_ended", f"This lease is over: {row['ending']}.", ending=row["ending"])
            continue
        view = ExtensionView(lease=order.lease, open=now["open"], expires_at=now["expires_at"])
        case.answer = Answer(200, view.model_dump_json().encode())


def abandon(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Abandon]]) -> None:
    """Take back what was given to callers who have not heard of it."""
    if not cases:
        return
    rows = db.rows(
        connection,
        "leases.by_request",
        collection=collection.id,
        owners=[order.owner for _, order in cases],
        requests=[order.request_id for _, order in cases],
    )
    done = take_back(connection, collection, [row["id"] for row in rows])
    for case, _ in cases:
        case.answer = Answer(200, orjson.dumps({"returned": sum(done.values())}))


def take_back(connection: Connection, collection: Collection, lease_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return all that these leases hold, uncharged: nobody has heard of them, and whoever asks again is served."""
    if lease_ids:
        db.run(connection, "leases.forget_requests", ids=list(lease_ids))
    return give_back(connection, collection, lease_ids, charged=False)


def drop(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Drop]]) -> None:
    """Take back what came out of a queue and was not dealt with: an attempt, unless it expired there unseen."""
    for charged in (True, False):
        mine = known(connection, collection, [each for each in cases if each[1].charged is charged])
        live = [order.lease for _, order, row in mine if row["ended_at"] is None]
        why = UNACKNOWLEDGED if charged else None
        done = give_back(connection, collection, live, why, charged=charged)
        for case, order, _ in mine:
            case.answer = Answer(200, orjson.dumps({"returned": done.get(order.lease, 0)}))
