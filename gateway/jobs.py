"""`/v1/jobs`: ask for work, look, cancel, retry, and what a job made."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import asking, batch, events, exports, intake
from gateway.bodies import LARGEST_PAGE, integer, job_id, media_type, read, reply
from gateway.problems import Problem
from gateway.services import transact
from gateway.views import of_row, reply_new
from gateway.waiting import settled
from infra import db, jobs, steps
from infra.submission import Verdict
from schemas.jobs import FactView, JobPage, JobRequest, JobSummary, OutputPage, OutputView, Timeline
from schemas.lines import EVENT, EVENTS, NDJSON, Event
from schemas.registry import KINDS
from schemas.states import JobState


async def create(request: Request) -> Response:
    """Ask for a job: 202 for a new one, 200 for the one that was there. `Prefer: wait=N` waits for its end.

    Also many at once, as NDJSON or a batch of CloudEvents: 202 when every line was taken, else 207; a line for each.
    """
    media = media_type(request)
    if media == NDJSON:
        return await batch.of_lines(request)
    if media == EVENTS:
        return await batch.of_events(request)
    if media == EVENT:
        asked = asking.of_event(await read(request, Event))
    else:
        asked = asking.of_request(await read(request, JobRequest))
    command, receipt = await intake.accept(request, asked)
    assert receipt.job_id is not None
    applied = await settled(request, receipt.job_id)
    headers = {"Location": f"/v1/jobs/{receipt.job_id}", "Retry-After": "1"} | applied
    created = receipt.verdict is Verdict.CREATED
    if created and not applied:
        return reply_new(command, receipt, 202, headers)
    return reply(of_row(await _found(request, receipt.job_id)), 202 if created else 200, headers)


async def get(request: Request) -> Response:
    """One job, whole. `Prefer: wait=N` waits for its end."""
    wanted = job_id(request)
    row = await _found(request, wanted)
    applied = await settled(request, wanted)
    return reply(of_row(await _found(request, wanted) if applied else row), 200, applied)


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
    """Cancel a job: at once while it waits, within seconds while it runs. With `tree=1` also all that followed from it.

    409 when it is over, and with it all of them.
    """
    move = jobs.cancel_tree if request.query_params.get("tree") in {"1", "true"} else jobs.cancel
    return await _move(request, move, "already_ended", "The job has ended; there is nothing to cancel.")


async def retry(request: Request) -> Response:
    """Queue a failed or cancelled job again, with fresh attempts. 409 in any other state."""
    return await _move(request, jobs.retry, "not_ended", "Only a failed or cancelled job can be retried.")


async def timeline(request: Request) -> Response:
    """The facts about a job, oldest first; with `Accept: text/event-stream` as they happen, until it has ended."""
    wanted = job_id(request)
    await _found(request, wanted)
    if events.wants_stream(request):
        return await events.follow(request, wanted)
    facts = await transact(request, jobs.timeline, wanted)
    return reply(Timeline(events=[FactView.model_validate(dict(fact)) for fact in facts]))


async def outputs(request: Request) -> Response:
    """What a succeeded job made, by name. Empty until it has succeeded."""
    wanted = job_id(request)
    await exports.guard(request, await _found(request, wanted))
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, steps.outputs, wanted, request.query_params.get("cursor", ""), limit + 1)
    rest = found[limit - 1]["name"] if len(found) > limit else None
    views = [OutputView(**row, href=f"/v1/jobs/{wanted}/outputs/{row['name']}") for row in found[:limit]]
    return reply(OutputPage(outputs=views, next=rest))


async def output(request: Request) -> Response:
    """One output: a redirect to its content, whose address never changes."""
    wanted = job_id(request)
    await exports.guard(request, await _found(request, wanted))
    sha256 = await transact(request, steps.output, wanted, request.path_params["name"])
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
    return reply(of_row(row), 202, {"Location": f"/v1/jobs/{wanted}"})


def _cursor(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text is not None else None
    except ValueError:
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor") from None
