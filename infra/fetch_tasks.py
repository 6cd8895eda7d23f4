"""Fetch tasks: taken under leases, filled with what lies where, or given up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from infra.fetch_items import Overtaken, entered, settle
from schemas.fetching import FetchState, FetchVerdict

EXPIRY = "expiry"
"""Who opens tasks again whose lease ran out."""
MOST_EXPIRED = 10_000
ATTEMPTS = 5
UNHEARD = "unheard"
"""Who gives tasks back whose taker has not lived to hear of them."""


class UnknownTask(Exception):
    """There is no such task."""


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


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes tasks under which lease, for how many seconds."""

    lease_id: UUID
    owner: str
    worker: str
    ttl: float


@dataclass(frozen=True, slots=True)
class Said:
    """A report about tasks: by whom, under which lease if any; `override`: whoever holds them."""

    fills: Sequence[Fill]
    losses: Sequence[Loss]
    owner: str
    lease_id: UUID | None = None
    override: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of each task of a report. Nothing was written when one was refused."""

    verdicts: list[FetchVerdict] = field(default_factory=list)

    @property
    def refused(self) -> list[FetchVerdict]:
        """Those that did not count."""
        return [each for each in self.verdicts if each.outcome == "refused"]


def take(connection: Connection, host: str, count: int, taker: Taker) -> Sequence[db.Row]:
    """Lease open tasks of a host: never handed out first, then the longest since.

    The same lease again: what it still holds, and never anything new.
    """
    db.rows(connection, "fetch_tasks.one_taker", lease=taker.lease_id)
    before = db.rows(connection, "fetch_tasks.held", lease=taker.lease_id, owner=taker.owner)
    if before or db.rows(connection, "fetch_tasks.had", lease=taker.lease_id, unheard=UNHEARD):
        return before
    db.run(connection, "fetch_tasks.expire", host=host, most=MOST_EXPIRED, by=EXPIRY)
    rows = db.rows(
        connection,
        "fetch_tasks.take",
        host=host,
        count=count,
        lease=taker.lease_id,
        owner=taker.owner,
        worker=taker.worker,
        ttl=taker.ttl,
    )
    return sorted(rows, key=lambda row: (row["before"] is not None, row["before"] or 0, row["id"]))


def extend(connection: Connection, lease_id: UUID, owner: str, ttl: float | None) -> tuple[int, datetime] | None:
    """Hold a lease for longer: how many tasks until when. None when it holds none."""
    rows = db.rows(connection, "fetch_tasks.extend", lease=lease_id, owner=owner, ttl=ttl)
    return (len(rows), rows[0]["expires_at"]) if rows else None


def release(connection: Connection, lease_id: UUID, owner: str, ids: Sequence[int] = ()) -> int:
    """Give tasks of a lease back, all of them if none is named. How many."""
    return db.run(connection, "fetch_tasks.release", lease=lease_id, owner=owner, by=owner, ids=list(ids) or None)


def forget(connection: Connection, lease_id: UUID, owner: str) -> int:
    """Give back all tasks of a lease that its owner has not heard of: it may be asked for again. How many."""
    return db.run(connection, "fetch_tasks.release", lease=lease_id, owner=owner, by=UNHEARD, ids=None)


def reopen(connection: Connection, task_id: int, by: str) -> bool:
    """What was filled or given up is to be fetched again. False when it is not at an end. Raises Overtaken."""
    inside = entered(connection, [task_id])
    changed = db.run(connection, "fetch_tasks.reopen", id=task_id, by=by) > 0
    settle(connection, inside, [task_id] if changed else [], by)
    return changed


def ids_of(connection: Connection, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
    """Tasks by their host and their id there; those that exist."""
    hosts, externals = [host for host, _ in pairs], [external for _, external in pairs]
    rows = db.rows(connection, "fetch_tasks.ids_of", hosts=hosts, externals=externals)
    return {(row["host"], row["external_id"]): row["id"] for row in rows}


def say(connection: Connection, said: Said) -> Outcome:
    """Write a report if all of it counts. A late one counts while nobody else holds the task. Raises Overtaken."""
    ids = [each.task_id for each in said.fills] + [each.task_id for each in said.losses]
    inside = entered(connection, ids)
    db.rows(connection, "fetch_tasks.lock", ids=ids)
    facts = _facts(connection, ids)
    outcome = Outcome([_judged_fill(facts.get(each.task_id), each, said) for each in said.fills])
    outcome.verdicts += [_judged_loss(facts.get(each.task_id), each, said) for each in said.losses]
    if not outcome.refused:
        changed = [*_filled(connection, said.fills, said.owner), *_lost(connection, said.losses, said.owner)]
        settle(connection, inside, [row["id"] for row in changed], said.owner)
    return outcome


def fill(connection: Connection, fills: Sequence[Fill], by: str, override: bool = False) -> Sequence[db.Row]:
    """Mark tasks filled with their location, whoever holds them; nobody looks for their items any more.

    What somebody else has filled stays where it is, unless `override`. Those that this changed, with their new
    revision. Raises Overtaken.
    """
    ids = [each.task_id for each in fills]
    inside = entered(connection, ids)
    db.rows(connection, "fetch_tasks.lock", ids=ids)
    facts, said = _facts(connection, ids), Said(fills, [], by, override=override)
    changed = _filled(connection, [each for each in fills if not _stays(facts.get(each.task_id), said)], by)
    settle(connection, inside, [row["id"] for row in changed], by)
    return changed


def fill_patiently(connection: Connection, fills: Sequence[Fill], by: str, override: bool = False) -> Sequence[db.Row]:
    """The same for a transaction that has done more than this, and starts again with this alone when it is overtaken.

    Raises Overtaken only if that goes on and on.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            with connection.begin_nested():
                return fill(connection, fills, by, override)
        except Overtaken:
            continue
    return fill(connection, fills, by, override)


def at(connection: Connection, fills: Sequence[Fill]) -> set[int]:
    """Which of these tasks are filled with just this."""
    facts = _facts(connection, [each.task_id for each in fills])
    return {each.task_id for each in fills if facts[each.task_id]["location"] == each.location}


def lose(connection: Connection, losses: Sequence[Loss], by: str) -> Sequence[db.Row]:
    """Mark tasks unavailable, whoever holds them; items without another task are offered again. What this changed.

    Raises Overtaken.
    """
    inside = entered(connection, [each.task_id for each in losses])
    changed = _lost(connection, losses, by)
    settle(connection, inside, [row["id"] for row in changed], by)
    return changed


def taken_over(connection: Connection, pairs: Sequence[tuple[str, str]], by: str) -> None:
    """These tasks, by host and id there, are what another deployment says: so are their items. Raises Overtaken."""
    ids = sorted(ids_of(connection, pairs).values())
    inside = entered(connection, ids)
    if inside:
        db.rows(connection, "fetch_tasks.lock", ids=ids)
        settle(connection, inside, ids, by)


def _facts(connection: Connection, ids: Sequence[int]) -> dict[int, db.Row]:
    return {row["id"]: row for row in db.rows(connection, "fetch_tasks.facts", ids=ids)}


def _filled(connection: Connection, fills: Sequence[Fill], by: str) -> Sequence[db.Row]:
    if not fills:
        return []
    ids = [each.task_id for each in fills]
    db.rows(connection, "fetch_tasks.lock", ids=ids)
    return db.rows(connection, "fetch_tasks.fill", ids=ids, locations=[each.location for each in fills], by=by)


def _lost(connection: Connection, losses: Sequence[Loss], by: str) -> Sequence[db.Row]:
    if not losses:
        return []
    ids = [each.task_id for each in losses]
    db.rows(connection, "fetch_tasks.lock", ids=ids)
    return db.rows(connection, "fetch_tasks.unavailable", ids=ids, reasons=[each.reason for each in losses], by=by)


def _judged_fill(fact: db.Row | None, wanted: Fill, said: Said) -> FetchVerdict:
    if fact is not None and fact["state"] == FetchState.FILLED:
        if fact["location"] == wanted.location:
            return FetchVerdict(task=wanted.task_id, outcome="unchanged", state=FetchState.FILLED)
        if _stays(fact, said):
            return FetchVerdict(task=wanted.task_id, outcome="refused", state=FetchState.FILLED, code="finished")
    return _judged(fact, wanted.task_id, FetchState.FILLED, said)


def _stays(fact: db.Row | None, said: Said) -> bool:
    """Whether a task was filled by somebody else, and stays where it is whatever is said.

    Files move: whoever has put them there, and whoever may do anything, says where they are now. Under a lease that
    ran out before, nobody has put them there.
    """
    if fact is None or fact["state"] != FetchState.FILLED or said.override:
        return False
    return fact["updated_by"] != said.owner or said.lease_id not in {None, fact["lease_id"]}


def _judged_loss(fact: db.Row | None, wanted: Loss, said: Said) -> FetchVerdict:
    if fact is not None and fact["state"] == FetchState.UNAVAILABLE:
        return FetchVerdict(task=wanted.task_id, outcome="unchanged", state=FetchState.UNAVAILABLE)
    if fact is not None and fact["state"] == FetchState.FILLED:
        return FetchVerdict(task=wanted.task_id, outcome="refused", state=FetchState.FILLED, code="finished")
    return _judged(fact, wanted.task_id, FetchState.UNAVAILABLE, said)


def _judged(fact: db.Row | None, task_id: int, becomes: FetchState, said: Said) -> FetchVerdict:
    if fact is None:
        return FetchVerdict(task=task_id, outcome="refused", state=None, code="unknown_task")
    if fact["state"] == FetchState.LEASED and not said.override and not _his(fact, said):
        return FetchVerdict(task=task_id, outcome="refused", state=FetchState.LEASED, code="held_by_another")
    return FetchVerdict(task=task_id, outcome="done", state=becomes)


def _his(fact: db.Row, said: Said) -> bool:
    if fact["late"]:
        return True  # nobody holds it
    return bool(fact["owner"] == said.owner and said.lease_id in {None, fact["lease_id"]})


def page(
    connection: Connection, after: int, limit: int, host: str | None, state: FetchState | None
) -> Sequence[db.Row]:
    """Tasks by id."""
    return db.rows(connection, "fetch_tasks.page", after=after, limit=limit, host=host, state=state)


def get(connection: Connection, task_id: int) -> tuple[db.Row, Sequence[db.Row], Sequence[db.Row]]:
    """A task, the items that asked for it, and all that it has been. Raises UnknownTask."""
    row = db.row(connection, "fetch_tasks.get", id=task_id)
    if row is None:
        raise UnknownTask
    asked = [each["id"] for each in db.rows(connection, "fetch_tasks.collections_of", ids=[task_id])]
    wanting = db.rows(connection, "fetch_tasks.wanting", id=task_id, shards=[0, *asked])
    return row, wanting, db.rows(connection, "fetch_tasks.history", id=task_id)


def overlaps(connection: Connection) -> Sequence[db.Row]:
    """The audit: every hand-out that another one contradicts. There is none."""
    return db.rows(connection, "fetch_tasks.overlaps")
