"""Exports of labelled data: ask for one, watch it, and fetch it, all on the page of its classifier."""

from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway import classifiers
from gateway import exports as api
from gateway.console import page, rendering
from gateway.problems import Problem, invalid
from gateway.services import transact
from infra import db, exports, labelling
from schemas.exports import ExportTerms, Format

SHOWN = 25


async def listing(request: Request) -> Response:
    """Classifiers, and how the newest export of each goes."""
    rows, rest = await classifiers.listed(request)
    shown = [classifiers.view(row) for row in rows]
    older = f"/console/exports?cursor={rest}" if rest else None
    return rendering.page(request, "exports/listing.html", rows=shown, older=older)


async def show(request: Request) -> Response:
    """One classifier: what an export would have in it, and the exports there are."""
    return await _shown(request)


async def create(request: Request) -> Response:
    """Ask for an export. It shows on the same page at once."""
    classifier = await classifiers.asked(request)
    fields = await page.form(request)
    try:
        asked = {"formats": fields.getlist("formats"), "identities": fields.get("identities") == "1"}
        terms = ExportTerms.model_validate(asked)
    except ValidationError as error:
        return await _shown(request, invalid(error))
    await api.asked_for(request, classifier, terms)
    return page.back(f"/console/exports/{classifier['id']}", "requested")


async def _shown(request: Request, wrong: Problem | None = None) -> Response:
    classifier = await classifiers.asked(request)
    rows, project = await transact(request, _read, classifier, page.identifier(request, "before"))
    made = [(api.view(request, row), row["object_key"] is not None) for row in rows[:SHOWN]]
    return rendering.page(
        request,
        "exports/classifier.html",
        wrong.status if wrong is not None else 200,
        classifier=classifier,
        project=project,
        exports=made,
        live=any(view.finished_at is None for view, _ in made),
        formats=[each.value for each in Format],
        wrong=wrong,
        older=f"/console/exports/{classifier['id']}?before={rows[SHOWN - 1]['id']}" if len(rows) > SHOWN else None,
    )


def _read(
    connection: Connection, classifier: db.Row, before: UUID | None
) -> tuple[list[db.Row], dict[str, object] | None]:
    found = exports.page(connection, classifier["id"], before, SHOWN + 1)
    return list(found), labelling.get(connection, classifier["project"])
