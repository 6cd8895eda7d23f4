"""`/v1/fetch-leases` and `/v1/fetch-tasks`: what is to be fetched from hosts, taken under leases, filled, given up."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.leases import identity, optional
from gateway.problems import Problem, unavailable
from gateway.repeats import repeat_of
from gateway.services import services, transact
from infra import collections, db, fetch_stats, fetch_tasks, repeats
from infra.fetch_items import Overtaken
from infra.fetch_tasks import ATTEMPTS, Fill, Loss, Outcome, Said, Taker
from infra.ids import new_id
from infra.repeats import Repeat
from infra.tokens import Role
from schemas.fetching import (
    FetchExtension,
    FetchExtensionView,
    FetchGiving,
    FetchLeaseRequest,
    FetchLeaseView,
    FetchPage,
    FetchReleaseView,
    FetchReport,
    FetchReportView,
    FetchState,
    FetchStats,
    FetchSummary,
    FetchTaskView,
    FetchVersion,
    GivenUp,
    LeasedTask,
    Wanting,
)
from schemas.hosts import normalise

INVENTORY = "albums"
REASONS = {
    "unknown_task": "Some of these tasks are not there; nothing was changed.",
    "held_by_another": "Somebody else holds some of these tasks; nothing was changed.",
    "finished": "Some of these tasks are filled already; nothing was changed.",
}


async def acquire(request: Request) -> Response:
    """Take tasks of one host, those never handed out first, then the longest since.

    The same `Idempotency-Key` again gives the same lease: what it still holds.
    """
    asked = await read(request, FetchLeaseRequest)
    return reply(await taken(request, asked))


async def taken(request: Request, asked: FetchLeaseRequest) -> FetchLeaseView:
    """A lease over tasks. What the caller does not live to hear of is given back."""
    owner, ttl = identity(request).name, asked.ttl or services(request).settings.fetch_seconds
    lease, rows = await transact(request, _take, repeat_of(request, asked), asked, owner, ttl)
    if rows and await request.is_disconnected():
        await transact(request, fetch_tasks.forget, lease, owner)
    return FetchLeaseView(
        lease=lease if rows else None,
        host=asked.host,
        worker=asked.worker,
        expires_at=rows[0]["expires_at"] if rows else None,
        tasks=[LeasedTask.model_validate(dict(row)) for row in rows],
    )


def _take(
    connection: Connection, repeat: Repeat | None, asked: FetchLeaseRequest, owner: str, ttl: float
) -> tuple[UUID, Sequence[db.Row]]:
    """The same request of the same caller has the same lease."""
    lease = UUID(repeats.once(connection, repeat, lambda: str(new_id())))
    return lease, fetch_tasks.take(connection, asked.host, asked.count, Taker(lease, owner, asked.worker, ttl))


async def extend(request: Request) -> Response:
    """Hold a lease for longer. 409 when it holds nothing any more."""
    asked, lease = await optional(request, FetchExtension), _lease(request)
    held: tuple[int, datetime] | None = await transact(
        request, fetch_tasks.extend, lease, identity(request).name, asked.ttl
    )
    if held is None:
        raise Problem(409, "lease_ended", "You hold nothing under this lease.")
    return reply(FetchExtensionView(lease=lease, open=held[0], expires_at=held[1]))


async def release(request: Request) -> Response:
    """Give tasks back, at once and uncharged: all that the lease still holds, or those that are named."""
    asked, lease = await optional(request, FetchGiving), _lease(request)
    released = await transact(request, fetch_tasks.release, lease, identity(request).name, asked.tasks)
    return reply(FetchReleaseView(released=released))


async def report(request: Request) -> Response:
    """Say what became of tasks, all or nothing: filled, with their location, or unavailable, with the reason."""
    asked = await read(request, FetchReport)
    fills = [Fill(each.task, each.location) for each in asked.filled]
    losses = [Loss(each.task, each.reason) for each in asked.unavailable]
    said = Said(fills, losses, identity(request).name, asked.lease, identity(request).may(Role.PRODUCER))
    return reply(FetchReportView(results=(await written(request, said)).verdicts))


async def give_up(request: Request) -> Response:
    """Say that a task's content cannot be had. Items that no other task may bring are offered again."""
    asked, task = await read(request, GivenUp), _task(request)
    said = Said([], [Loss(task, asked.reason)], identity(request).name, None, identity(request).may(Role.PRODUCER))
    await written(request, said)
    return reply(await _found(request, task))


async def written(request: Request, said: Said) -> Outcome:
    """Write a report. Raises a 404 or 409 problem that names every task that was refused."""
    outcome: Outcome = await _not_overtaken(request, fetch_tasks.say, said)
    if outcome.refused:
        raise _refused(outcome)
    return outcome


async def _not_overtaken(request: Request, work: Callable[..., Any], *values: Any) -> Any:
    """Do it anew while others begin to ask for the same tasks. Raises a 503 problem if that goes on and on."""
    for _ in range(ATTEMPTS):
        try:
            return await transact(request, work, *values)
        except Overtaken:
            continue
    raise unavailable("overtaken", "Others report the same tasks right now; try again shortly.")


def _refused(outcome: Outcome) -> Problem:
    codes = {each.code for each in outcome.refused}
    code = next(code for code in REASONS if code in codes)
    refused = [each.model_dump(mode="json") for each in outcome.refused]
    return Problem(404 if code == "unknown_task" else 409, code, REASONS[code], refused=refused)


async def reopen(request: Request) -> Response:
    """What was filled or given up is to be fetched again. 409 when it is neither."""
    task = _task(request)
    if not await _not_overtaken(request, fetch_tasks.reopen, task, identity(request).name):
        await _found(request, task)
        raise Problem(409, "illegal_move", "Only what is filled or unavailable is opened again.")
    return reply(await _found(request, task))


async def page(request: Request) -> Response:
    """Tasks by id, of one host or of all; `state`: open, leased, filled or unavailable."""
    limit, after = integer(request, "limit", 100, LARGEST_PAGE), integer(request, "cursor", 0, 10**9 - 1, 0)
    host, state = request.query_params.get("host"), request.query_params.get("state")
    if state is not None and state not in set(FetchState):
        raise Problem(400, "invalid_parameter", f"state is one of {', '.join(FetchState)}.", field="state")
    only = host_of(host) if host is not None else None
    rows = await transact(request, fetch_tasks.page, after, limit + 1, only, state)
    rest = str(rows[limit - 1]["id"]) if len(rows) > limit else None
    return reply(FetchPage(tasks=[FetchSummary.model_validate(dict(row)) for row in rows[:limit]], next=rest))


async def get(request: Request) -> Response:
    """A task, the items that asked for it, and all that it has been."""
    return reply(await _found(request, _task(request)))


async def stats(request: Request) -> Response:
    """How far an inventory is (`collection`, by default `albums`), and all tasks by host."""
    name = request.query_params.get("collection", INVENTORY)
    return reply(await transact(request, fetch_stats.stats, name))


async def counted(request: Request, name: str) -> FetchStats:
    """The statistics of an inventory, which nobody need have made yet."""
    return await transact(request, _counted, name)


def _counted(connection: Connection, name: str) -> FetchStats:
    try:
        return fetch_stats.stats(connection, name)
    except collections.UnknownCollection:
        if name != INVENTORY:
            raise
        return fetch_stats.without_items(connection, name)


def host_of(given: str, field: str = "host") -> str:
    """A host in its one form. Raises a 400 problem."""
    try:
        return normalise(given)
    except ValueError as error:
        raise Problem(400, "bad_host", f"{field} is no host: {error}.", field=field) from None


async def _found(request: Request, task: int) -> FetchTaskView:
    return _view(*await transact(request, fetch_tasks.get, task))


def _view(row: db.Row, items: Any, history: Any) -> FetchTaskView:
    return FetchTaskView.model_validate(
        dict(row)
        | {"items": [Wanting.model_validate(dict(each)) for each in items]}
        | {"history": [FetchVersion.model_validate(dict(each)) for each in history]}
    )


def _lease(request: Request) -> UUID:
    try:
        return UUID(request.path_params["lease"])
    except ValueError:
        raise Problem(404, "unknown_lease", "You have no such lease.") from None


def _task(request: Request) -> int:
    given = str(request.path_params["task"])
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise fetch_tasks.UnknownTask
    return int(given)
