"""Dead letters: messages nobody could process, and jobs that failed, by their cause; whole incidents in one action."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gateway import intake
from gateway import parked as api
from gateway.bulk import KIND
from gateway.console import page, rendering
from gateway.intake import Asked
from gateway.problems import Problem
from gateway.replays import sender
from gateway.services import transact
from infra import browsing, parked, resolutions
from infra.parked import Filter
from infra.resolutions import Change, Resolution
from schemas.bulk import MOST_IDS, Bulk, BulkAction, JobFilter

GROUPS = 100
SHOWN = 50
AT_ONCE = 1000


async def listing(request: Request) -> Response:
    """Both, by cause."""
    groups = await transact(request, parked.groups, None, GROUPS)
    failures = await transact(request, browsing.failures, GROUPS)
    return rendering.page(
        request,
        "dead/listing.html",
        groups=groups,
        failures=failures,
        most=parked.MOST_IN_A_GROUP,
        looks=browsing.FAILURES,
    )


async def group(request: Request) -> Response:
    """The open messages of one cause, and the newest of them whole."""
    fingerprint = request.path_params["fingerprint"]
    rows = await transact(request, parked.page, Filter(fingerprint=fingerprint), None, SHOWN + 1)
    if not rows:
        raise Problem(404, "unknown_group", "No open message has this cause any more.")
    example = await api.described(request, rows[0]["id"])
    return rendering.page(
        request, "dead/group.html", rows=rows[:SHOWN], more=len(rows) > SHOWN, example=example, fingerprint=fingerprint
    )


async def replay(request: Request) -> Response:
    """Send all of one cause again."""
    send = partial(resolutions.replay, by=request.state.identity.name, send=sender(request, Change()), change=Change())
    return await _resolve(request, send, "replayed")


async def discard(request: Request) -> Response:
    """Let all of one cause go."""
    return await _resolve(request, partial(resolutions.discard, by=request.state.identity.name), "discarded")


async def retry(request: Request) -> Response:
    """Retry the newest jobs that failed for one cause, by a bulk job that names them."""
    fields = await page.form(request)
    kind, code = page.text(fields, "kind") or "", page.text(fields, "error_code") or ""
    ids = await transact(request, browsing.failed_ids, kind, code, MOST_IDS)
    if not ids:
        raise Problem(409, "none_left", "No job failed for this cause any more.")
    wanted = Bulk(action=BulkAction.RETRY, filter=JobFilter(ids=ids))
    _, receipt = await intake.accept(request, Asked(KIND, wanted.model_dump(mode="json")))
    return page.back(f"/console/jobs/{receipt.job_id}", "created")


async def _resolve(request: Request, act: partial[dict[int, Resolution]], said: str) -> Response:
    fingerprint = request.path_params["fingerprint"]
    rows = await transact(request, parked.page, Filter(fingerprint=fingerprint), None, AT_ONCE)
    outcomes = await transact(request, act, [row["id"] for row in rows]) if rows else {}
    left = next((outcome for outcome in outcomes.values() if outcome not in api.DONE), None)
    if left is not None:
        raise Problem(*api.WHY[left])
    return page.back("/console/dead", said)
