"""`/v1/jobs`: ask for work, look, cancel, retry, and what a job made."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import intake
from gateway.bodies import LARGEST_PAGE, integer, job_id, read, reply
from gateway.intake import Terms
from gateway.problems import Problem
from gateway.services import transact
from gateway.waiting import settled
from infra import db, jobs, steps
from infra.submission import Verdict
from schemas.jobs import FactView, JobPage, JobRequest, JobSummary, JobView, OutputPage, OutputView, Timeline
from schemas.registry import KINDS
from schemas.states import JobState


async def create(request: Request) -> Response:
    """Ask for a job: 202 for a new one, 200 for the one that was there. `Prefer: wait=N` waits for its end."""
    wanted = await read(request, JobRequest)
    receipt = await intake.submit(
        request, wanted.kind, wanted.params, Terms(wanted.key, wanted.priority, wanted.run_at)
    )
    assert receipt.job_id is not None
    applied = await settled(request, receipt.job_id)
    view = _view(await _found(request, receipt.job_id))
    headers = {"Location": f"/v1/jobs/{receipt.job_id}", "Retry-After": "1"} | applied
    return reply(view, 202 if receipt.verdict is Verdict.CREATED else 200, headers)


async def get(request: Request) -> Response:
    """One job, whole. `Prefer: wait=N` waits for its end."""
    wanted = job_id(request)
    row = await _found(request, wanted)
    applied = await settled(request, wanted)
    return reply(_view(await _found(request, wanted) if applied else row), 200, applied)


async def page(request: Request) -> Response:
    """Jobs, newest first, by state and kind."""
    state, kind, cursor = (request.query_params.get(name) for name in ("state", "kind", "cursor"))
    if state is not None and state not in set(JobState):
        raise Problem(400, "invalid_parameter", f"state is one of {', '.join(JobState)}.", field="state")
    if kind is not None and kind not in KINDS:
        raise Problem(400, "unknown_kind", "There is no such kind.", kinds=sorted(KINDS))
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, jobs.page, state, kind, _cursor(cursor), limit + 1)
    rest = str(found[limit - 1]["id"]) if len(found) > limit else None
    return reply(JobPage(jobs=[JobSummary.model_validate(dict(row)) for row in found[:limit]], next=rest))


async def cancel(request: Request) -> Response:
    """Cancel a job: at once while it waits, within seconds while it runs. 409 when it is over."""
    return await _move(request, jobs.cancel, "already_ended", "The job has ended; there is nothing to cancel.")


async def retry(request: Request) -> Response:
    """Queue a failed or cancelled job again, with fresh attempts. 409 in any other state."""
    return await _move(request, jobs.retry, "not_ended", "Only a failed or cancelled job can be retried.")


async def timeline(request: Request) -> Response:
    """The facts about a job, oldest first."""
    wanted = job_id(request)
    await _found(request, wanted)
    facts = await transact(request, jobs.timeline, wanted)
    return reply(Timeline(events=[FactView.model_validate(dict(fact)) for fact in facts]))


async def outputs(request: Request) -> Response:
    """What a succeeded job made, by name. Empty until it has succeeded."""
    wanted = job_id(request)
    await _found(request, wanted)
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, steps.outputs, wanted, request.query_params.get("cursor", ""), limit + 1)
    rest = found[limit - 1]["name"] if len(found) > limit else None
    views = [OutputView(**row, href=f"/v1/jobs/{wanted}/outputs/{row['name']}") for row in found[:limit]]
    return reply(OutputPage(outputs=views, next=rest))


async def output(request: Request) -> Response:
    """One output: a redirect to its content, whose address never changes."""
    sha256 = await transact(request, steps.output, job_id(request), request.path_params["name"])
    if sha256 is None:
        raise Problem(404, "unknown_output", "The job has no such output, or has not succeeded yet.")
    return RedirectResponse(f"/v1/files/{sha256}/content", 307)


async def _found(request: Request, wanted: UUID) -> db.Row:
    row = await transact(request, jobs.get, wanted)
    if row is None:
        raise Problem(404, "unknown_job", "There is no such job.")
    return row


async def _move(request: Request, move: Any, code: str, detail: str) -> Response:
    wanted = job_id(request)
    await _found(request, wanted)
    moved = await transact(request, move, wanted)
    row = await _found(request, wanted)
    if not moved:
        raise Problem(409, code, detail, state=row["state"])
    return reply(_view(row), 202, {"Location": f"/v1/jobs/{wanted}"})


def _cursor(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text is not None else None
    except ValueError:
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor") from None


def _view(row: db.Row) -> JobView:
    here = f"/v1/jobs/{row['id']}"
    error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
    links = {"self": here, "events": f"{here}/events", "outputs": f"{here}/outputs"}
    return JobView.model_validate(dict(row) | {"key": row["unique_key"], "error": error, "links": links})
