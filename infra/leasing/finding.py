"""What was found for items: a task for each thing at a host, once for all that asked, and a link to every one."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from infra.leasing.collection import Collection
from infra.leasing.reporting import Report
from schemas.fetching import Candidate
from schemas.leases import Result

Pair = tuple[str, str]
BACK = frozenset({"available", "nacked", "failed", "missing"})
"""What is said of items that are not done."""


def judge(connection: Connection, collection: Collection, reports: Sequence[Report]) -> None:
    """Say what follows from what was found, or not: a thing may be lost by now, or another one may have come."""
    _judge_found(connection, reports)
    back = {said.key for each in reports for said in each.results if said.state in BACK}
    if not back:
        return
    brought = {row["key"] for row in alive(connection, collection, keys=back)}
    for each in reports if brought else ():
        each.results = [_done(said) if said.key in brought else said for said in each.results]


def alive(
    connection: Connection, collection: Collection, keys: Iterable[str] = (), leases: Iterable[UUID] = ()
) -> Sequence[db.Row]:
    """Of items that are held, those that a fetch task may bring all the same: nobody needs to look for them again."""
    return db.rows(connection, "fetch_tasks.alive", collection=collection.id, keys=list(keys), leases=list(leases))


def _judge_found(connection: Connection, reports: Sequence[Report]) -> None:
    """All that cannot be had any more is as good as nothing found."""
    found = [said for each in reports for said in each.results if said.state == "found"]
    if not found:
        return
    pairs = sorted({_pair(candidate) for said in found for candidate in said.candidates})
    hosts, externals = zip(*pairs, strict=True)
    rows = db.rows(connection, "fetch_tasks.known", hosts=list(hosts), externals=list(externals))
    lost = {(row["host"], row["external_id"]) for row in rows if row["state"] == "unavailable"}
    for each in reports:
        for said in each.results:
            if said.state == "found":
                each.found.setdefault(said.key, []).extend(said.candidates)
        each.results = [_judged(said, lost) for said in each.results]


def _done(said: Result) -> Result:
    return Result(key=said.key, state="completed") if said.state in BACK else said


def _judged(said: Result, lost: set[Pair]) -> Result:
    if said.state != "found":
        return said
    hopeless = all(_pair(candidate) in lost for candidate in said.candidates)
    return said.model_copy(update={"state": "nacked" if hopeless else "completed", "candidates": []})


def link(connection: Connection, collection: Collection, reports: Sequence[Report]) -> None:
    """Make the tasks of all that counts, link them to their items, and name them in the verdicts."""
    wanted = [
        (key, *_pair(candidate), each.speaker.name)
        for each in reports
        for key in _accepted(each)
        for candidate in each.found[key]
    ]
    if not wanted:
        return
    keys, hosts, externals, names = (list(column) for column in zip(*wanted, strict=True))
    db.run(connection, "fetch_tasks.add", hosts=hosts, externals=externals, names=names)
    rows = db.rows(
        connection,
        "fetch_tasks.link",
        collection=collection.id,
        keys=keys,
        hosts=hosts,
        externals=externals,
        names=names,
    )
    tasks: dict[str, list[int]] = {}
    for row in rows:
        tasks.setdefault(row["key"], []).append(row["task_id"])
    for each in reports:
        for verdict in each.verdicts:
            if verdict.key in each.found and verdict.outcome != "refused":
                verdict.tasks = tasks.get(verdict.key, [])


def _accepted(report: Report) -> Iterable[str]:
    good = {verdict.key for verdict in report.verdicts if verdict.outcome != "refused"}
    return [key for key in report.found if key in good]


def _pair(candidate: Candidate) -> Pair:
    return candidate.host, candidate.external_id
