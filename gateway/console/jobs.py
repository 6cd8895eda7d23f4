"""Jobs: the list with its filters in the address, a new one, and one thing done to many."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway import intake, queries
from gateway.bulk import KIND
from gateway.console import page, rendering, words
from gateway.intake import Asked, Terms
from gateway.problems import Problem, invalid, problem_of
from gateway.services import transact
from infra import browsing, bulk, overview
from infra import jobs as store
from infra.browsing import Chosen
from schemas.bulk import COUNTED, MOST_IDS, Bulk, BulkAction, JobFilter
from schemas.registry import KINDS
from schemas.states import LIVE, JobState

SHOWN = 50
HASH = re.compile(r"[0-9a-f]{6,64}")
FILTERS = ("state", "kind", "submitted_by", "error_code", "created_after", "created_before")


async def listing(request: Request) -> Response:
    """Jobs, newest first."""
    chosen = _chosen(request)
    before = page.identifier(request, "before")
    rows, counts = await transact(request, _read, chosen, before)
    return rendering.page(
        request,
        "jobs/listing.html",
        rows=rows[:SHOWN],
        older=_link(request, before=str(rows[SHOWN - 1]["id"])) if len(rows) > SHOWN else None,
        newest=_link(request, before=None) if before is not None else None,
        tabs=[(state.value, _link(request, state=state.value, before=None)) for state in JobState],
        every=_link(request, state=None, before=None),
        counts=counts,
        most=overview.COUNTED,
        chosen=chosen,
        kinds=sorted(KINDS),
        looks=browsing.LOOKS if chosen.bounded else None,
        bulk=_bulk_link(chosen) if not chosen.error_code else {},
    )


async def find(request: Request) -> Response:
    """To the job whose id somebody typed, or to the file, by its hash or its name."""
    typed = (request.query_params.get("q") or "").strip()
    try:
        return page.back(f"/console/jobs/{UUID(typed)}")
    except ValueError:
        known = HASH.fullmatch(typed) is not None
        return page.back(f"/console/files/{typed}" if known else "/console/files?" + urlencode({"name": typed}))


async def new(request: Request) -> Response:
    """A form for a job: of a kind, or like one that was."""
    query = request.query_params
    kind, params = query.get("kind") or "split.video", query.get("params") or "{}"
    like = page.identifier(request, "like")
    row = await transact(request, store.get, like) if like is not None else None
    if row is not None:
        kind, params = row["kind"], words.json(row["params"])
    return _form(request, kind, params)


async def create(request: Request) -> Response:
    """Ask for the job; what is wrong with it is said above the form."""
    fields = await page.form(request)
    kind, params = page.text(fields, "kind") or "", page.text(fields, "params") or "{}"
    try:
        asked = orjson.loads(params)
        priority = int(page.text(fields, "priority") or 0)
        if not isinstance(asked, dict) or not 0 <= priority <= 9:
            raise ValueError("The parameters are an object, and the priority is 0 to 9.")
        receipt = await intake.submit(request, kind, asked, Terms(page.text(fields, "key"), priority))
    except ValueError as error:
        return _form(request, kind, params, Problem(400, "invalid_parameter", f"Not valid: {error}"))
    except Exception as error:  # whatever it is, nothing that was typed is lost
        return _form(request, kind, params, problem_of(error))
    return page.back(f"/console/jobs/{receipt.job_id}", "created")


async def plan(request: Request) -> Response:
    """What a bulk action would act on, before anybody says yes."""
    query = request.query_params
    wanted = _bulk(query.get("action"), {name: query.get(name) for name in FILTERS}, query.getlist("ids"))
    count, _ = await transact(request, bulk.preview, wanted)
    return rendering.page(
        request,
        "jobs/plan.html",
        wanted=wanted,
        count=count,
        most=COUNTED,
        filter=wanted.filter.model_dump(mode="json", exclude_none=True, exclude={"ids"}),
        ids=wanted.filter.ids or [],
        cause=(query.get("kind_of_group"), query.get("cause")),
    )


async def act(request: Request) -> Response:
    """Do it: a job of its own, which tells what became of each."""
    fields = await page.form(request)
    chosen = {name: page.text(fields, name) for name in FILTERS}
    wanted = _bulk(page.text(fields, "action"), chosen, [str(each) for each in fields.getlist("ids")])
    _, receipt = await intake.accept(request, Asked(KIND, wanted.model_dump(mode="json")))
    return page.back(f"/console/jobs/{receipt.job_id}", "created")


def _read(connection: Connection, chosen: Chosen, before: UUID | None) -> tuple[Any, Any]:
    counts = overview.states(connection) if chosen.kind is None and chosen.submitted_by is None else {}
    return browsing.jobs(connection, chosen, before, SHOWN + 1), counts


def _chosen(request: Request) -> Chosen:
    given = {name: request.query_params.get(name) or None for name in FILTERS}
    if given["state"] is not None and given["state"] not in set(JobState):
        raise Problem(400, "invalid_parameter", f"state is one of {', '.join(JobState)}.", field="state")
    times = {name: _moment(request, name) for name in ("created_after", "created_before")}
    return Chosen(given["state"], given["kind"], given["submitted_by"], given["error_code"], **times)


def _moment(request: Request, name: str) -> datetime | None:
    """A time that was filled in; as browsers send them, without a zone, it is UTC."""
    return queries.moment(request, name) if request.query_params.get(name) else None


def _bulk(action: str | None, chosen: dict[str, str | None], ids: list[str]) -> Bulk:
    named = {name: value for name, value in chosen.items() if value and name != "error_code"}
    try:
        return Bulk(
            action=BulkAction(action or ""),
            filter=JobFilter.model_validate(named | ({"ids": ids[:MOST_IDS]} if ids else {})),
        )
    except ValidationError as error:
        raise invalid(error) from None
    except ValueError:
        raise Problem(400, "invalid_parameter", "action is cancel or retry.", field="action") from None


def _bulk_link(chosen: Chosen) -> dict[str, str]:
    """For each action that the filter allows, the address of its plan."""
    given = {name: getattr(chosen, name) for name in FILTERS}
    named = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in given.items() if v}
    states = {BulkAction.CANCEL: LIVE, BulkAction.RETRY: {JobState.FAILED, JobState.CANCELLED}}
    able = [action for action in BulkAction if named and (chosen.state is None or chosen.state in states[action])]
    return {action.value: f"/console/jobs/bulk?{urlencode(named | {'action': action.value})}" for action in able}


def _form(request: Request, kind: str, params: str, problem: Problem | None = None) -> Response:
    status, wrong = (problem.status, problem.detail) if problem is not None else (200, None)
    return rendering.page(request, "jobs/new.html", status, kind=kind, params=params, wrong=wrong, kinds=KINDS)


def _link(request: Request, **changes: str | None) -> str:
    kept = dict(request.query_params) | changes
    return "/console/jobs?" + urlencode({k: v for k, v in kept.items() if v and k != "said"})
