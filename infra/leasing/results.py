"""What is said of the items of a lease: results, and items given back."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection

from infra import db
from infra.leasing.cases import Answer, Case, ended, known
from infra.leasing.collection import Collection
from infra.leasing.moving import report_all
from infra.leasing.reporting import Report
from infra.leasing.requests import want
from infra.leasing.returning import give_back
from infra.verdicts import Speaker
from schemas.leases import Release, Result, Submit


def submit(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Submit]]) -> None:
    """Write results. Whoever wants the next items gets them in the same step, once these are there."""
    mine = known(connection, collection, cases)
    late = _late(connection, collection, mine)
    for case, order, row in mine:
        results = order.results or late.get(order.lease, [])
        case.report = Report(Speaker(order.owner, row["worker"], order.lease), results)
        if order.next is not None:
            case.want = want(collection, order, order.next, row["worker"], order.request_id)
    report_all(connection, collection, [case.report for case, _, _ in mine if case.report is not None])
    whole = [order.lease for _, order, row in mine if order.completed and row["ended_at"] is None]
    done = ended(connection, "moves.complete", collection, whole)
    if not mine:
        return
    rows = db.rows(connection, "leases.find", collection=collection.id, ids=[order.lease for _, order, _ in mine])
    left = {row["id"]: row["open"] for row in rows}
    for case, order, row in mine:
        assert case.report is not None
        # Who asks for the next ones may have lost the answer to this very order.
        known_done = row["ending"] == "submitted" and order.next is not None
        if order.completed and row["ended_at"] is not None and not case.report.results and not known_done:
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


def _late(
    connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Submit, db.Row]]
) -> dict[UUID, list[Result]]:
    """Of leases that ran out and are all done now, what nobody has taken since: that counts."""
    over = [order.lease for _, order, row in cases if order.completed and row["ending"] == "expired"]
    found: dict[UUID, list[Result]] = {}
    if over:
        for row in db.rows(connection, "moves.still_free", collection=collection.id, ids=over):
            found.setdefault(row["lease_id"], []).append(Result(key=row["key"], state="completed"))
    return found


def _close_report(case: Case, told: dict[str, Any]) -> None:
    """409 when nothing of a report counts, and no items come with it."""
    assert case.report is not None
    refused = {verdict.code for verdict in case.report.verdicts if verdict.outcome == "refused"}
    if refused and told["refused"] == len(case.report.verdicts) and case.want is None:
        status = 404 if refused == {"unknown_item"} else 409
        case.refuse(status, sorted(filter(None, refused))[-1], "None of these items could be reported.", **told)
        return
    case.answer = Answer(200, orjson.dumps(told | {"next": None}))


def release(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Release]]) -> None:
    """Take back all that a lease still holds, or what is named: uncharged."""
    mine = known(connection, collection, cases)
    for case, order, row in mine:
        results = [Result(key=key, state="available") for key in order.keys]
        case.report = Report(Speaker(order.owner, row["worker"], order.lease), results)
    report_all(connection, collection, [case.report for case, _, _ in mine if case.report is not None])
    whole = [order.lease for _, order, row in mine if not order.keys and row["ended_at"] is None]
    done = give_back(connection, collection, whole, charged=False)
    for case, order, row in mine:
        assert case.report is not None
        told = {
            "lease": order.lease,
            "open": max(row["open"] - case.report.count("done") - done.get(order.lease, 0), 0),
            "done": case.report.count("done") + done.get(order.lease, 0),
            "refused": case.report.count("refused"),
            "results": [verdict.model_dump(mode="json") for verdict in case.report.verdicts],
        }
        _close_report(case, told)
