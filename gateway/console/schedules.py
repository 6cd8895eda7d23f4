"""Schedules: what comes again and again, how it has gone, and a form for one."""

from typing import Any
from zoneinfo import available_timezones

from starlette.requests import Request
from starlette.responses import Response

from gateway import bodies
from gateway import schedules as api
from gateway.console import page, rendering, words
from gateway.problems import Problem, problem_of
from gateway.services import transact
from infra import db, jobs, schedules
from schemas.registry import KINDS
from schemas.schedules import ScheduleRequest

SHOWN = 200
TEXTS = ("name", "cron", "timezone", "kind", "params", "priority")
DEFAULTS = {name: ScheduleRequest.model_fields[name].default for name in ("timezone", "priority", "overlap", "enabled")}
EMPTY: dict[str, Any] = {"name": "", "cron": "", "kind": "split.video", "params": "{}"} | DEFAULTS


async def listing(request: Request) -> Response:
    """Schedules by name."""
    after = request.query_params.get("after", "")
    rows = await transact(request, schedules.page, after, SHOWN + 1)
    rest = rows[SHOWN - 1]["name"] if len(rows) > SHOWN else None
    return rendering.page(request, "schedules/listing.html", rows=rows[:SHOWN], rest=rest)


async def form(request: Request) -> Response:
    """A form for a schedule: a new one, one like a job that was, or the one of a name."""
    name = request.query_params.get("name")
    row = await _like(request) if name is None else await api.found(request, name)
    given = {field: row[field] for field in EMPTY.keys() & row.keys()} if row is not None else {}
    if "params" in given:
        given["params"] = words.json(given["params"])
    return _shown(request, EMPTY | given, was=name)


async def save(request: Request) -> Response:
    """Make or change it; what is wrong with it is said above the form."""
    fields = await page.form(request)
    was = page.text(fields, "was")
    given: dict[str, Any] = {field: page.text(fields, field) or "" for field in TEXTS}
    given |= {field: page.text(fields, field) is not None for field in ("overlap", "enabled")}
    try:
        await api.keep(request, was or given["name"], _asked(given), only_new=was is None)
    except Exception as error:  # whatever it is, nothing that was typed is lost
        return _shown(request, given, was, problem_of(error))
    return page.back("/console/schedules", "changed" if was else "created")


async def delete(request: Request) -> Response:
    """Forget a schedule; the jobs that it has made stay."""
    if not await transact(request, schedules.delete, request.path_params["name"]):
        raise Problem(404, "unknown_schedule", "There is no such schedule.")
    return page.back("/console/schedules", "deleted")


async def _like(request: Request) -> db.Row | None:
    like = page.identifier(request, "like")
    return await transact(request, jobs.get, like) if like is not None else None


def _asked(given: dict[str, Any]) -> ScheduleRequest:
    params = bodies.loaded((given["params"] or "{}").encode(), "The field of the parameters")
    named = {field: value for field, value in given.items() if field != "name"}
    return bodies.validated(named | {"params": params, "priority": given["priority"] or 0}, ScheduleRequest)


def _shown(request: Request, given: dict[str, Any], was: str | None, problem: Problem | None = None) -> Response:
    return rendering.page(
        request,
        "schedules/form.html",
        problem.status if problem else 200,
        given=given,
        was=was,
        wrong=problem.detail if problem else None,
        kinds=KINDS,
        zones=sorted(available_timezones()),
    )
