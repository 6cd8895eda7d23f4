"""Fetch tasks: what lies where, and what cannot be had."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from infra import db
from infra.leasing.collection import Collection, enter
from infra.leasing.reporting import Report, report
from infra.verdicts import Speaker
from schemas.leases import Result


class Overtaken(Exception):
    """Another collection has begun to ask for the same task meanwhile: start again in a new transaction."""


@dataclass(frozen=True, slots=True)
class Fill:
    """A task and where its content lies."""

    task_id: int
    location: str


@dataclass(frozen=True, slots=True)
class Loss:
    """A task and why its content cannot be had."""

    task_id: int
    reason: str


def fill(connection: Connection, fills: Sequence[Fill], by: str) -> Sequence[db.Row]:
    """Mark tasks filled with their location, whoever holds them. Those that this changed, with their new revision."""
    db.rows(connection, "fetch_tasks.lock", ids=[each.task_id for each in fills])
    return db.rows(
        connection,
        "fetch_tasks.fill",
        ids=[each.task_id for each in fills],
        locations=[each.location for each in fills],
        by=by,
    )


def lose(connection: Connection, losses: Sequence[Loss], by: str) -> Sequence[db.Row]:
    """Mark tasks unavailable; items without another task are offered again. Those that this changed.

    Raises Overtaken.
    """
    ids = [each.task_id for each in losses]
    asking = {row["name"] for row in db.rows(connection, "fetch_tasks.collections_of", ids=ids)}
    entered = {each.id: each for each in enter(connection, asking).values()}
    db.rows(connection, "fetch_tasks.lock", ids=ids)
    changed = db.rows(connection, "fetch_tasks.unavailable", ids=ids, reasons=[each.reason for each in losses], by=by)
    lost = [row["id"] for row in changed]
    if not {row["name"] for row in db.rows(connection, "fetch_tasks.collections_of", ids=lost)} <= asking:
        raise Overtaken
    _offer_again(connection, entered, lost, by)
    return changed


def _offer_again(connection: Connection, entered: dict[int, Collection], lost: Sequence[int], by: str) -> None:
    keys: dict[int, list[str]] = {}
    for row in db.rows(connection, "fetch_tasks.hopeless", ids=lost):
        keys.setdefault(row["collection_id"], []).append(row["key"])
    for collection_id, hopeless in keys.items():
        results = [Result(key=key, state="available") for key in hopeless]
        report(connection, entered[collection_id], [Report(Speaker(by, by, override=True), results)])
