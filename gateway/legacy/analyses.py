"""The old analyses: `/analysis` starts a job and shows it in the old words. The rest is under `/v1/jobs`."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from gateway import intake, models, queries
from gateway.bodies import LARGEST_PAGE, integer
from gateway.legacy import forms
from gateway.legacy.paging import document, listing
from gateway.problems import Problem
from gateway.references import resolve
from gateway.services import transact
from infra import analyses, db, jobs
from infra.analyses import Filter
from schemas.models import FITTING
from schemas.registry import KINDS
from schemas.states import TERMINAL, JobState

#: The old names of analyses, and the kinds of job that they are.
ANALYSES = {
    "sleep": "analyze.sleep",
    "video": "analyze.video",
    "label": "analyze.label",
    "image": "analyze.image",
    "label-image": "analyze.label_image",
    "triangulate": "analyze.triangulate",
    "label_3d": "analyze.label_3d",
}
NAMES = {kind: name for name, kind in ANALYSES.items()}

#: The old words for states. What the old system had no word for, or answered with a 500, has the new word.
WORDS = {
    JobState.SCHEDULED: "PENDING",
    JobState.QUEUED: "PENDING",
    JobState.RUNNING: "STARTED",
    JobState.SUCCEEDED: "SUCCESS",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
#: A query may also say it the old way.
ALSO = {"failure": "failed", "revoked": "cancelled"}


async def start(request: Request) -> Response:
    """Start an analysis of a file: fields `file_id`, `analysis`, and the parameters of that analysis."""
    fields = await forms.fields(request)
    file_id = forms.required(fields, "file_id")
    name = str(forms.required(fields, "analysis")).lower()
    if name not in ANALYSES:
        known = sorted(ANALYSES)
        raise Problem(400, "unknown_analysis", f"The analyses are: {', '.join(known)}.", analyses=known)
    kind = KINDS[ANALYSES[name]]
    if kind.name in FITTING and fields.get("model") in (None, ""):
        known = await models.known(request)
        message = f"The field model is missing. The models are: {', '.join(known)}."
        raise Problem(400, "missing_model", message, field="model", models=known)
    extras = {field: value for field, value in fields.items() if field not in {"file_id", "analysis"}}
    receipt = await intake.submit(request, kind.name, forms.checked(kind, file_id, extras))
    assert receipt.state is not None
    body = {"analysis_id": receipt.job_id, "task_id": receipt.job_id, "state": WORDS[JobState(receipt.state)]}
    return document(body, headers={"Location": f"/analysis/{receipt.job_id}"})


async def page(request: Request) -> Response:
    """Analyses, newest first, by state, name, file and time."""
    limit = integer(request, "limit", LARGEST_PAGE, LARGEST_PAGE)
    found = await transact(request, analyses.page, await _filter(request), limit + 1)
    rows = found[:limit]
    rest = queries.cursor(rows[-1]["created_at"], str(rows[-1]["id"])) if len(found) > limit else None
    return listing(request, [_view(row) for row in rows], rest)


async def get(request: Request) -> Response:
    """One analysis: 202 while it is not over, 200 with its result or with what went wrong."""
    row = await _found(request)
    if JobState(row["state"]) not in TERMINAL:
        return document(_view(row), 202, {"Retry-After": "1"})
    if row["state"] != JobState.SUCCEEDED:
        error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else {}
        return document(error | _view(row))
    return document(row["result"] | _view(row))


async def cancel(request: Request) -> Response:
    """Cancel an analysis: 200 when it is cancelled, 202 when it ends within seconds, 409 when it is over already."""
    row = await _found(request)
    accepted = await transact(request, jobs.cancel, row["id"])
    row = await _found(request)
    if not accepted and row["state"] != JobState.CANCELLED:
        raise Problem(409, "already_ended", "The analysis has ended; there is nothing to cancel.", state=_word(row))
    return document(_view(row), 200 if JobState(row["state"]) in TERMINAL else 202)


async def _found(request: Request) -> db.Row:
    """The analysis in the path, by its id or an unambiguous prefix of it."""
    bounds = _bounds(request.path_params["analysis_id"].lower())
    wanted = Filter(tuple(NAMES), low=bounds[0], high=bounds[1]) if bounds is not None else None
    found = await transact(request, analyses.page, wanted, 2) if wanted is not None else ()
    if not found:
        raise Problem(404, "unknown_analysis_id", "There is no such analysis.")
    if len(found) > 1:
        raise Problem(409, "ambiguous_analysis_id", "Several analyses have an id that begins so.")
    return found[0]


def _bounds(prefix: str) -> tuple[UUID, UUID] | None:
    """The lowest and the highest id that begin so; None when no id does."""
    digits = prefix.replace("-", "")
    if not 4 <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef"):
        return None
    low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return (low, high) if prefix in {digits, str(low)[: len(prefix)]} else None


async def _filter(request: Request) -> Filter:
    name, state, file = (request.query_params.get(field) for field in ("analysis", "state", "file_id"))
    after = queries.after(request)
    return Filter(
        kinds=tuple(NAMES) if name is None else (ANALYSES.get(name.lower(), ""),),
        states=_states(state) if state is not None else None,
        input_sha256=(await resolve(request, file))["sha256"] if file is not None else None,
        created_after=queries.moment(request, "created_after"),
        created_before=queries.moment(request, "created_before"),
        high=_before(after[1]) if after is not None else analyses.HIGHEST,
    )


def _states(word: str) -> tuple[str, ...]:
    asked = ALSO.get(word.lower(), word.lower())
    states = tuple(state.value for state, old in WORDS.items() if asked in {state.value, old.lower()})
    if not states:
        known = ", ".join(dict.fromkeys(WORDS.values()))
        raise Problem(400, "invalid_state", f"state is one of {known}.", field="state")
    return states


def _before(key: str) -> UUID:
    try:
        return UUID(int=max(0, UUID(key).int - 1))
    except ValueError:
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor") from None


def _view(row: db.Row) -> dict[str, Any]:
    inputs, params = row["inputs"], KINDS[row["kind"]].inputs
    return {
        "analysis_id": row["id"],
        "task_id": row["id"],
        "analysis_name": NAMES[row["kind"]],
        # A producer may have named a file that was not there: such a job has failed and reads nothing.
        "file_id": inputs[0] if inputs else None,
        "file2_id": inputs[1] if len(inputs) > 1 else None,
        "parameters": {name: value for name, value in row["params"].items() if name not in params},
        "state": _word(row),
        "progress": row["progress"],
        "created": row["created_at"],
    }


def _word(row: db.Row) -> str:
    return WORDS[JobState(row["state"])]
