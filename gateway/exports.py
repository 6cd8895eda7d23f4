"""`/v1/exports`: ask for an archive, watch it, fetch it. Every request makes a version; one in flight is shared."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from gateway import classifiers, downloads, intake
from gateway.bodies import LARGEST_PAGE, integer, parsed, read_bytes, reply
from gateway.problems import Problem
from gateway.services import services, transact
from infra import db, exports
from infra.tokens import Role
from schemas.exports import ExportLabels, ExportPage, ExportTerms, ExportView, status_of
from schemas.states import TERMINAL, JobState


async def create(request: Request) -> Response:
    """Ask for an archive: 202. While the same one is being made, here is that one."""
    classifier = await classifiers.asked(request)
    raw = await read_bytes(request, services(request).settings.body_limit)
    terms = parsed(raw, ExportTerms) if raw else ExportTerms()
    made = await asked_for(request, classifier, terms)
    return reply(made, 202, {"Location": made.links["self"], "Retry-After": "1"})


async def page(request: Request) -> Response:
    """The exports of a classifier, newest first."""
    classifier = await classifiers.asked(request)
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    before = _id(request.query_params["cursor"]) if "cursor" in request.query_params else None
    rows = await transact(request, exports.page, classifier["id"], before, limit + 1)
    rest = str(rows[limit - 1]["id"]) if len(rows) > limit else None
    return reply(ExportPage(exports=[view(request, row) for row in rows[:limit]], next=rest))


async def get(request: Request) -> Response:
    """One export and how far it is."""
    return reply(view(request, await _found(request, _id(request.path_params["export_id"]))))


async def content(request: Request) -> Response:
    """The archive: ranges, ETag; with `?redirect=1` an address at the store. 202 while it is made, 409 if it failed."""
    return await served(request, await _found(request, _id(request.path_params["export_id"])))


async def asked_for(request: Request, classifier: db.Row, terms: ExportTerms) -> ExportView:
    """Make the job of an export. Raises problems for what can never work."""
    if not classifier["dimension"] and not classifier["vectorizer"]:
        raise Problem(409, "no_vectorizer", "The classifier has no vectorizer, which texts need.")
    if terms.identities and not request.state.identity.may(Role.ADMIN):
        raise Problem(403, "forbidden", "Only an admin may export who the annotators are.", field="identities")
    params = ExportLabels(classifier=classifier["id"], **terms.model_dump()).model_dump(mode="json")
    receipt = await intake.submit(request, "export.labels", params, vouched=True)
    assert receipt.job_id is not None
    return view(request, await _found(request, receipt.job_id))


async def served(request: Request, row: db.Row) -> Response:
    """An export's archive, or what there is instead of it."""
    told = view(request, row)
    if told.state not in TERMINAL:
        return reply(told, 202, {"Retry-After": "1"})
    if told.state is not JobState.SUCCEEDED:
        why = told.error.message if told.error is not None else "The export was cancelled."
        raise Problem(409, "export_failed", why, reason=told.error.code if told.error is not None else "cancelled")
    if row["object_key"] is None:
        raise Problem(404, "export_expired", "The archive is not kept any more; ask for a new one.")
    if request.query_params.get("redirect") in {"1", "true"}:
        return await downloads.redirect(request, row)
    return await downloads.reply(request, row)


async def guard(request: Request, job: db.Row) -> None:
    """What a job has made is for members only when it is an export. Raises a problem for others."""
    if job["kind"] == "export.labels":
        await classifiers.found(request, job["params"]["classifier"])


async def _found(request: Request, export_id: UUID) -> db.Row:
    row = await transact(request, exports.get, export_id)
    if row is None:
        raise Problem(404, "unknown_export", "There is no such export.")
    # A job that was asked for over the broker may name a classifier that there never was.
    await classifiers.found(request, row["params"]["classifier"])
    return row


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Problem(404, "unknown_export", "There is no such export.") from None


def view(request: Request, row: db.Row) -> ExportView:
    """An export as callers see it."""
    here = f"/v1/exports/{row['id']}"
    kept = services(request).settings.export_seconds
    ended = row["finished_at"]
    error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
    told: dict[str, Any] = {
        "export_id": row["id"],
        "classifier": row["params"]["classifier"],
        "clfId": row["params"]["classifier"],
        "status": status_of(row["state"]),
        "requested_at": row["created_at"],
        "formats": row["params"]["formats"],
        "error": error,
        "expires_at": ended + timedelta(seconds=kept) if ended is not None and kept else None,
        "links": {"self": here, "content": f"{here}/content", "job": f"/v1/jobs/{row['id']}"},
    }
    return ExportView.model_validate(dict(row) | told)
