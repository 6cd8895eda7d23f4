"""Moves by hand, and what every report goes through: what was found becomes tasks once its items have moved."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from infra.leasing import finding
from infra.leasing.cases import Answer, Case
from infra.leasing.collection import Collection
from infra.leasing.reporting import Report, report
from infra.verdicts import Speaker
from schemas.leases import Move, MovesView


def report_all(connection: Connection, collection: Collection, reports: Sequence[Report]) -> None:
    """Reports of what was done, and of what was found where."""
    finding.judge(connection, collection, reports)
    report(connection, collection, reports)
    finding.link(connection, collection, reports)


def move(connection: Connection, collection: Collection, cases: Sequence[tuple[Case, Move]]) -> None:
    """Set the states of items without a lease: each that may be, or all or none of an order."""
    for case, order in cases:
        case.report = Report(Speaker(order.owner, order.owner, override=order.override), order.moves)
    report_all(connection, collection, [case.report for case, order in cases if case.report and not order.atomic])
    for case, order in cases:
        assert case.report is not None
        if order.atomic and not _moved_whole(connection, collection, case.report):
            _refuse_whole(case, case.report)
            continue
        told = case.report.verdicts
        unknown = [each.key for each in told if each.code == "unknown_item"]
        view = MovesView(
            updated=case.report.count("done"),
            unknown=unknown,
            rejected=[each for each in told if each.outcome == "refused" and each.code != "unknown_item"],
            unchanged=case.report.count("unchanged"),
            results=told if order.atomic else [],
        )
        case.answer = Answer(200, view.model_dump_json().encode())


def _moved_whole(connection: Connection, collection: Collection, one: Report) -> bool:
    """Write a report if all of it counts."""
    with connection.begin_nested() as point:
        report_all(connection, collection, [one])
        if one.count("refused"):
            point.rollback()
            return False
    return True


def _refuse_whole(case: Case, one: Report) -> None:
    refused = [each for each in one.verdicts if each.outcome == "refused"]
    unknown = [each.key for each in refused if each.code == "unknown_item"]
    rejected = [each.model_dump(mode="json") for each in refused if each.code != "unknown_item"]
    told: dict[str, Any] = {"unknown": unknown, "rejected": rejected}
    if unknown:
        case.refuse(404, "unknown_item", "Some of these items are not there; nothing was changed.", **told)
    else:
        code = str(refused[0].code)
        case.refuse(409, code, "Some of these items could not be reported; nothing was changed.", **told)
