"""An order in hand: what is asked, what is answered, and whether the lease that it names is the caller's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import Connection

from infra import db
from infra.leasing.collection import Collection
from infra.leasing.reporting import Report
from infra.leasing.taking import Want
from schemas.leases import Order

O = TypeVar("O")  # noqa: E741 - an order
#: Who owns leases that lie in a collection's queue: whoever gets the message may speak for them.
PUSHED = "(queue)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: a status as in HTTP, and a JSON document."""

    status: int
    body: bytes


@dataclass(slots=True)
class Case:
    """An order and its answer, once there is one."""

    order: Order
    answer: Answer | None = None
    want: Want | None = None
    report: Report | None = None
    earlier: UUID | None = None
    """The lease that the same request took when it came before."""
    leases: list[UUID] = field(default_factory=list)
    """What it has taken: to be given back if nobody hears of it."""

    def refuse(self, status: int, code: str, detail: str, **more: Any) -> None:
        """Answer that it cannot be."""
        self.answer = Answer(status, orjson.dumps({"code": code, "detail": detail, **more}, default=str))


def of(cases: Iterable[Case], kind: type[O]) -> list[tuple[Case, O]]:
    """Those with an order of this kind."""
    return [(case, case.order) for case in cases if isinstance(case.order, kind)]


def known(
    connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Any]]
) -> list[tuple[Case, Any, db.Row]]:
    """Those whose lease exists and is theirs. The others are answered."""
    if not cases:
        return []
    rows = db.rows(connection, "leases.find", collection=collection.id, ids=[order.lease for _, order in cases])
    found = {row["id"]: row for row in rows}
    mine = []
    for case, order in cases:
        row = found.get(order.lease)
        if row is None or row["owner"] not in {order.owner, PUSHED}:
            case.refuse(404, "unknown_lease", "You have no such lease in this collection.")
        else:
            mine.append((case, order, row))
    return mine


def ended(
    connection: Connection,
    query: str,
    collection: Collection,
    lease_ids: Sequence[UUID],
    why: tuple[str, str] | None = None,
    **terms: Any,
) -> dict[UUID, int]:
    """End these leases by a statement; how many items each of them still held. `why`: what is said of these items."""
    if not lease_ids:
        return {}
    code, message = why if why is not None else (None, None)
    told = {"code": code, "message": message}
    rows = db.rows(connection, query, collection=collection.id, ids=list(lease_ids), **told, **terms)
    return {row["id"]: row["items"] for row in rows}
