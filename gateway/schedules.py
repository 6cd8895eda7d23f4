"""`/v1/schedules`: jobs that come again and again, each under a name that its maker chose."""

import re

from starlette.requests import Request
from starlette.responses import Response

from gateway import intake, models, ownership
from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.problems import Problem
from gateway.references import resolve
from gateway.services import transact
from infra import db, schedules
from infra.cron import BadCronError, Cron
from infra.schedules import Schedule
from schemas.schedules import SchedulePage, ScheduleRequest, ScheduleView

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


async def put(request: Request) -> Response:
    """Make a schedule (201), or replace the one of this name (200). Its files are found now, its jobs made later."""
    name = request.path_params["name"]
    created = await keep(request, name, await read(request, ScheduleRequest))
    view = _view(await found(request, name))
    return reply(view, 201 if created else 200, {"Location": f"/v1/schedules/{name}"})


async def keep(request: Request, name: str, asked: ScheduleRequest, only_new: bool = False) -> bool:
    """Check and keep a schedule: True when it is new. Raises a problem; with `only_new`, also when there is one."""
    if NAME.fullmatch(name) is None:
        raise Problem(400, "bad_name", "A name has 1 to 100 characters of a-z, 0-9, dot, dash and underscore.")
    if only_new and await transact(request, schedules.get, name) is not None:
        raise Problem(409, "name_taken", "There is a schedule of this name. Choose another, or change that one.")
    wanted = await _checked(request, asked)
    try:
        return await transact(request, schedules.put, name, wanted, request.state.identity.name)
    except BadCronError as error:
        raise Problem(400, "invalid_parameter", str(error), field=error.field) from None


async def found(request: Request, name: str) -> db.Row:
    """The schedule of this name. Raises a 404 problem."""
    row = await transact(request, schedules.get, name)
    if row is None:
        raise _unknown()
    return row


async def get(request: Request) -> Response:
    """One schedule, and how it has gone."""
    return reply(_view(await found(request, request.path_params["name"])))


async def page(request: Request) -> Response:
    """Schedules by name."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, schedules.page, request.query_params.get("cursor", ""), limit + 1)
    rest = found[limit - 1]["name"] if len(found) > limit else None
    return reply(SchedulePage(schedules=[_view(row) for row in found[:limit]], next=rest))


async def delete(request: Request) -> Response:
    """Forget a schedule. The jobs that it has made stay."""
    if not await transact(request, schedules.delete, request.path_params["name"]):
        raise _unknown()
    return Response(status_code=204)


async def _checked(request: Request, wanted: ScheduleRequest) -> Schedule:
    kind, params = intake.check(wanted.kind, wanted.params)
    intake.admit(request.state.identity, kind)
    await ownership.require(request, kind, params)
    await models.pinned(request, kind.name, params)  # it must fit; each job takes the newest when its time comes
    files = {file: (await resolve(request, file))["sha256"] for _, file in kind.references(params)}
    return Schedule(
        cron=Cron(wanted.cron, wanted.timezone),
        kind=kind.name,
        params=kind.resolved(params, files),
        priority=wanted.priority,
        overlap=wanted.overlap,
        enabled=wanted.enabled,
    )


def _unknown() -> Problem:
    return Problem(404, "unknown_schedule", "There is no such schedule.")


def _view(row: db.Row) -> ScheduleView:
    return ScheduleView.model_validate(dict(row) | {"next_at": row["next_at"] if row["enabled"] else None})
