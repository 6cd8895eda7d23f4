"""Answers to a batch of orders about items: all who ask one collection for items share one statement."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import Connection

from infra import db
from infra.leasing import moving
from infra.leasing.cases import Answer, Case
from infra.leasing.collection import Collection, enter
from infra.leasing.reporting import Report, report
from infra.leasing.taking import Want, take
from infra.verdicts import Speaker
from schemas.leases import (
    Abandon,
    Acquire,
    Extend,
    ExtensionView,
    Move,
    Order,
    Release,
    Result,
    Submit,
    Taking,
)

O = TypeVar("O")  # noqa: E741 - an order
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0


def answer(connection: Connection, orders: Sequence[Order]) -> list[Case]:
    """Do what these ask for. The caller commits, then sends the answers."""
    cases = [Case(order) for order in orders]
    collections = enter(connection, {order.collection for order in orders})
    for name in sorted({order.collection for order in orders}):
        here = [case for case in cases if case.order.collection == name]
        if name in collections:
            _serve(connection, collections[name], here)
        else:
            for case in here:
                case.refuse(404, "unknown_collection", "There is no such collection.")
    return cases


def _serve(connection: Connection, collection: Collection, cases: Sequence[Case]) -> None:
    """What comes back is there for those who take."""
    _submit(connection, collection, _of(cases, Submit))
    moving.move(connection, collection, _of(cases, Move))
    _release(connection, collection, _of(cases, Release))
    _extend(connection, collection, _of(cases, Extend))
    _take(connection, collection, cases)
    _abandon(connection, collection, _of(cases, Abandon))


def _of(cases: Iterable[Case], kind: type[O]) -> list[tuple[Case, O]]:
    return [(case, case.order) for case in cases if isinstance(case.order, kind)]


def _known(
    connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Any]]
) -> list[tuple[Case, Any, db.Row]]:
    """Those whose lease exists and is theirs. The others are answered."""
    if not cases:
        return []
    rows = db.rows(connection, "leases.find", collection=collection.id, ids=[order.lease for _, order in cases])
    found = {row["id"]: row for row in rows}
    known = []
    for case, order in cases:
        row = found.get(order.lease)
        if row is None or row["owner"] != order.owner:
            case.refuse(404, "unknown_lease", "You have no such lease in this collection.")
        else:
            known.append((case, order, row))
    return known


def _submit(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Submit]]) -> None:
    known = _known(connection, collection, cases)
    for case, order, row in known:
        case.report = Report(Speaker(order.owner, row["worker"], order.lease), order.results)
        if order.next is not None:
            case.want = _want(collection, order, order.next, row["worker"], order.request_id)
    moving.report_all(connection, collection, [case.report for case, _, _ in known if case.report is not None])
    whole = [order.lease for _, order, row in known if order.completed and row["ended_at"] is None]
    done = _ended(connection, "leases.complete", collection, whole)
    if not known:
        return
    rows = db.rows(connection, "leases.find", collection=collection.id, ids=[order.lease for _, order, _ in known])
    left = {row["id"]: row["open"] for row in rows}
    for case, order, row in known:
        assert case.report is not None
        if order.completed and row["ended_at"] is not None:
            case.refuse(409, "lease_ended", f"This lease is over: {row['ending']}.", ending=row["ending"])
            case.want = None
            continue
        told = {
            "lease": order.lease,
            "open": left[order.lease],
            "done": case.report.count("done") + done.get(order.lease, 0),
            "refused": case.report.count("refused"),
            "results": [verdict.model_dump(mode="json") for verdict in case.report.verdicts],
        }
        _close_report(case, told)


def _close_report(case: Case, told: dict[str, Any]) -> None:
    """409 when nothing of a report counts, and no items come with it."""
    assert case.report is not None
    refused = {verdict.code for verdict in case.report.verdicts if verdict.outcome == "refused"}
    if refused and told["refused"] == len(case.report.verdicts) and case.want is None:
        status = 404 if refused == {"unknown_item"} else 409
        case.refuse(status, sorted(filter(None, refused))[-1], "None of these items could be reported.", **told)
        return
    case.answer = Answer(200, orjson.dumps(told | {"next": None}))


def _release(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Release]]) -> None:
    known = _known(connection, collection, cases)
    for case, order, row in known:
        results = [Result(key=key, state="available") for key in order.keys]
        case.report = Report(Speaker(order.owner, row["worker"], order.lease), results)
    report(connection, collection, [case.report for case, _, _ in known if case.report is not None])
    whole = [order.lease for _, order, row in known if not order.keys and row["ended_at"] is None]
    done = _ended(connection, "leases.return", collection, whole, charged=False, mover=None)
    for case, order, row in known:
        assert case.report is not None
        told = {
            "lease": order.lease,
            "open": max(row["open"] - case.report.count("done") - done.get(order.lease, 0), 0),
            "done": case.report.count("done") + done.get(order.lease, 0),
            "refused": case.report.count("refused"),
            "results": [verdict.model_dump(mode="json") for verdict in case.report.verdicts],
        }
        _close_report(case, told)


def _extend(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Extend]]) -> None:
    known = _known(connection, collection, cases)
    if not known:
        return
    wanted = {order.lease: order.ttl for _, order, _ in known}
    rows = db.rows(connection, "leases.extend", ids=list(wanted), ttls=list(wanted.values()))
    held = {row["id"]: row for row in rows}
    for case, order, row in known:
        now = held.get(order.lease)
        if now is None:
            case.refuse(409, "lease_ended", f"This lease is over: {row['ending']}.", ending=row["ending"])
            continue
        view = ExtensionView(lease=order.lease, open=now["open"], expires_at=now["expires_at"])
        case.answer = Answer(200, view.model_dump_json().encode())


def _take(connection: Connection, collection: Collection, cases: Sequence[Case]) -> None:
    for case, order in _of(cases, Acquire):
        case.want = _want(collection, order, order, order.worker, order.request_id)
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
    for case in asking:
        _tell(connection, collection, case)


def _not_repeated(connection: Connection, collection: Collection, cases: Sequence[Case]) -> list[Case]:
    """Those that ask for the first time. The others get what the same request took, as far as it is still held."""
    named = [case for case in cases if case.want is not None and case.want.request_id is not None]
    if not named:
        return list(cases)
    wants = [case.want for case in named if case.want is not None]
    rows = db.rows(
        connection,
        "leases.by_request",
        collection=collection.id,
        owners=[want.owner for want in wants],
        requests=[want.request_id for want in wants],
    )
    before = {row["place"] - 1: row["id"] for row in rows}
    if before:
        _repeat(connection, collection, {id(wants[place]): (wants[place], old) for place, old in before.items()})
    first: dict[tuple[str, str | None], Want] = {}
    fresh = []
    for case in cases:
        want = case.want
        assert want is not None
        if any(want is wants[place] for place in before):
            continue
        # The same message twice in one batch: the second one gets what the first gets.
        same = first.setdefault((want.owner, want.request_id), want) if want.request_id is not None else want
        if same is want:
            fresh.append(case)
        case.want = same
    return fresh


def _repeat(connection: Connection, collection: Collection, repeated: dict[int, tuple[Want, UUID]]) -> None:
    ids = [lease_id for _, lease_id in repeated.values()]
    leases = {row["id"]: row for row in db.rows(connection, "leases.find", collection=collection.id, ids=ids)}
    contents = {row["lease_id"]: row for row in db.rows(connection, "leases.contents", ids=ids)}
    for want, lease_id in repeated.values():
        want.lease_id, want.expires_at, want.taken = lease_id, leases[lease_id]["expires_at"], 0
        if lease_id in contents:
            want.give(contents[lease_id]["items"], contents[lease_id]["told"])


def _tell(connection: Connection, collection: Collection, case: Case) -> None:
    want = case.want
    assert want is not None
    told = {
        "lease": want.lease_id if want.taken else None,
        "collection": collection.name,
        "worker": want.worker,
        "expires_at": want.expires_at if want.taken else None,
        "renew_seconds": want.ttl / 3 if want.taken else None,
        "retry_seconds": None if want.taken else _due(connection, collection),
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
    [row] = db.rows(connection, "leases.due", collection=collection.id)
    seconds = row["seconds"] if row["seconds"] is not None else LONGEST_RETRY_SECONDS
    return float(min(max(seconds, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS))


def _abandon(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Abandon]]) -> None:
    if not cases:
        return
    rows = db.rows(
        connection,
        "leases.by_request",
        collection=collection.id,
        owners=[order.owner for _, order in cases],
        requests=[order.request_id for _, order in cases],
    )
    done = give_back(connection, collection, [row["id"] for row in rows])
    for case, _ in cases:
        case.answer = Answer(200, orjson.dumps({"returned": sum(done.values())}))


def give_back(connection: Connection, collection: Collection, lease_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return all that these leases hold, uncharged: nobody has heard of them."""
    return _ended(connection, "leases.return", collection, lease_ids, charged=False, mover=None)


def _ended(
    connection: Connection, query: str, collection: Collection, lease_ids: Sequence[UUID], **terms: Any
) -> dict[UUID, int]:
    if not lease_ids:
        return {}
    rows = db.rows(connection, query, collection=collection.id, ids=list(lease_ids), **terms)
    return {row["id"]: row["items"] for row in rows}


def _want(collection: Collection, order: Any, terms: Taking, worker: str, request_id: str | None) -> Want:
    return Want(order.owner, worker, terms.count, terms.ttl or collection.ttl_seconds, request_id)


def _terms(order: Order) -> Taking:
    if isinstance(order, Acquire):
        return order
    assert isinstance(order, Submit)
    assert order.next is not None
    return order.next
