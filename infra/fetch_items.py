"""What becomes of items when their fetch tasks change: on offer while none of their tasks lives, and off it else."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from infra import db
from infra.leasing.collection import Collection, enter
from infra.leasing.reporting import Report, report
from infra.verdicts import Speaker
from schemas.items import ItemState
from schemas.leases import Result


class Overtaken(Exception):
    """Another collection has begun to ask for the same task meanwhile: start again in a new transaction."""


def entered(connection: Connection, ids: Sequence[int]) -> dict[int, Collection]:
    """The collections whose items asked for these tasks, entered: before any task is locked."""
    if not ids:
        return {}
    return {each.id: each for each in enter(connection, _names(connection, ids)).values()}


def settle(connection: Connection, inside: Mapping[int, Collection], changed: Iterable[int], by: str) -> None:
    """These tasks, locked by us, have changed: what nothing can bring any more is on offer, what something can is not.

    Items that somebody holds stay with him for as long as he looks. Raises Overtaken.
    """
    ids = list(changed)
    if not ids:
        return
    if not _names(connection, ids) <= {each.name for each in inside.values()}:
        raise Overtaken
    results: dict[int, list[Result]] = {}
    for row in db.rows(connection, "fetch_tasks.unsettled", ids=ids, shards=[0, *inside]):
        results.setdefault(row["collection_id"], []).extend(_becomes(row["key"], ItemState(row["state"])))
    for collection_id, said in results.items():
        report(connection, inside[collection_id], [Report(Speaker(by, by, override=True), said)])


def _becomes(key: str, before: ItemState) -> list[Result]:
    """What is missing is set free before it is done: nobody skips that step."""
    free, done = Result(key=key, state="available"), Result(key=key, state="completed")
    return {ItemState.COMPLETED: [free], ItemState.MISSING: [free, done]}.get(before, [done])


def _names(connection: Connection, ids: Sequence[int]) -> set[str]:
    return {row["name"] for row in db.rows(connection, "fetch_tasks.collections_of", ids=list(ids))}
