"""Requests for items: each is served once, however often it comes; what it gets is told as JSON."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection

from infra import db
from infra.leasing.cases import Answer, Case, of
from infra.leasing.collection import Collection
from infra.leasing.taking import Want, take
from schemas.leases import Acquire, Order, Submit, Taking

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0


def look_back(connection: Connection, collection: Collection, cases: Sequence[Case]) -> list[Case]:
    """Find what requests took that have come before. Returns what is to be served: the others are refused.

    A request id stands for one request for items: nothing of an order that asks for others under the same id is done.
    """
    named = [(case, name) for case in cases if (name := _name(case.order)) is not None]
    if not named:
        return list(cases)
    rows = db.rows(
        connection,
        "leases.by_request",
        collection=collection.id,
        owners=[owner for _, (owner, _) in named],
        requests=[request_id for _, (_, request_id) in named],
    )
    before = {row["place"] - 1: row for row in rows}
    asked: dict[tuple[str, str], int] = {}
    for place, (case, name) in enumerate(named):
        terms = first = _hash(case.order)
        if place in before:
            case.earlier = before[place]["id"]
            first = before[place]["terms"] if before[place]["terms"] is not None else terms
        if asked.setdefault(name, first) != terms:
            case.refuse(422, "idempotency_key_reused", "This request id was used for another request.")
    return [case for case in cases if case.answer is None]


def serve(connection: Connection, collection: Collection, cases: Sequence[Case]) -> None:
    """Give what there is to those who ask; one statement for all who ask for the same partition."""
    for case, order in of(cases, Acquire):
        case.want = want(collection, order, order, order.worker, order.request_id)
    asking = [case for case in cases if case.want is not None]
    if not asking:
        return
    fresh = _not_repeated(connection, collection, asking)
    groups: dict[str | None, list[Want]] = {}
    for case in fresh:
        assert case.want is not None
        groups.setdefault(_terms(case.order).partition, []).append(case.want)
    for partition, wants in groups.items():
        take(connection, collection, partition, wants)
    empty = any(case.want is not None and not case.want.taken for case in asking)
    retry = _due(connection, collection) if empty else None
    for case in asking:
        _tell(collection, case, retry)


def _not_repeated(connection: Connection, collection: Collection, cases: Sequence[Case]) -> list[Case]:
    """Those that ask for the first time. The others get what the same request took, as far as it is still held."""
    repeated = [(case.want, case.earlier) for case in cases if case.want is not None and case.earlier is not None]
    if repeated:
        _repeat(connection, collection, repeated)
    first: dict[tuple[str, str], Want] = {}
    fresh = []
    for case in cases:
        want = case.want
        assert want is not None
        if case.earlier is not None:
            continue
        # The same message twice in one batch: the second one gets what the first gets.
        same = first.setdefault((want.owner, want.request_id), want) if want.request_id is not None else want
        if same is want:
            fresh.append(case)
        case.want = same
    return fresh


def _repeat(connection: Connection, collection: Collection, repeated: Sequence[tuple[Want, UUID]]) -> None:
    ids = [lease_id for _, lease_id in repeated]
    leases = {row["id"]: row for row in db.rows(connection, "leases.find", collection=collection.id, ids=ids)}
    contents = {
        row["lease_id"]: row for row in db.rows(connection, "leases.contents", collection=collection.id, ids=ids)
    }
    for want, lease_id in repeated:
        want.lease_id, want.expires_at, want.taken = lease_id, leases[lease_id]["expires_at"], 0
        if lease_id in contents:
            want.give(contents[lease_id]["items"], contents[lease_id]["told"])


def _tell(collection: Collection, case: Case, retry: float | None) -> None:
    want = case.want
    assert want is not None
    told = {
        "lease": want.lease_id if want.taken else None,
        "collection": collection.name,
        "worker": want.worker,
        "expires_at": want.expires_at if want.taken else None,
        "renew_seconds": want.ttl / 3 if want.taken else None,
        "retry_seconds": None if want.taken else retry,
    }
    items = f',"items":[{",".join(want.told)}]}}'.encode()
    body = orjson.dumps(told)[:-1] + items
    if want.taken:
        case.leases.append(want.lease_id)
    if case.answer is None:
        case.answer = Answer(200, body)
    else:  # the report comes first
        case.answer = Answer(200, case.answer.body.removesuffix(b"null}") + body + b"}")


def _due(connection: Connection, collection: Collection) -> float:
    [row] = db.rows(connection, "taking.due", collection=collection.id)
    seconds = row["seconds"] if row["seconds"] is not None else LONGEST_RETRY_SECONDS
    return float(min(max(seconds, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS))


def want(collection: Collection, order: Any, terms: Taking, worker: str, request_id: str | None) -> Want:
    """What an order asks for."""
    ttl = terms.ttl or collection.ttl_seconds
    return Want(order.owner, worker, terms.count, ttl, request_id, _hash(order) if request_id is not None else None)


def _name(order: Order) -> tuple[str, str] | None:
    """Whose request it is and how he calls it, if it takes items and has a name."""
    if not isinstance(order, Acquire | Submit) or order.request_id is None:
        return None
    return None if isinstance(order, Submit) and order.next is None else (order.owner, order.request_id)


def _hash(order: Order) -> int:
    """What is asked for, in 64 bits."""
    terms = _terms(order)
    who = order.worker if isinstance(order, Acquire) else str(order.lease) if isinstance(order, Submit) else None
    told = orjson.dumps([order.op, who, terms.count, terms.ttl, terms.partition])
    return int.from_bytes(blake2b(told, digest_size=8).digest(), signed=True)


def _terms(order: Order) -> Taking:
    if isinstance(order, Acquire):
        return order
    assert isinstance(order, Submit)
    assert order.next is not None
    return order.next
