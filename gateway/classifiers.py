"""`/v1/classifiers`: register one in the safe form, have one trained, find them."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import intake, labelling_projects
from gateway.bodies import LARGEST_PAGE, integer, parsed, read_bytes, reply
from gateway.problems import Problem
from gateway.services import services, transact
from gateway.views import of_row
from infra import classifiers, db, jobs
from infra.classifiers import Look
from infra.tokens import Role
from schemas.exports import LARGEST_ID, ClassifierPage, ClassifierView, status_of
from schemas.labelling import ClassifierRequest


async def register(request: Request) -> Response:
    """Register a classifier with its vectorizer, as parameters. A pickle is never taken."""
    project = await labelling_projects.member(request)
    wanted = parsed(await read_bytes(request, services(request).settings.batch_limit), ClassifierRequest)
    model, words = wanted.model, wanted.model.vectorizer
    if project.dimension and (words is not None or model.features != project.dimension):
        raise Problem(400, "wrong_features", f"The datapoints have {project.dimension} numbers.", field="model")
    who = request.state.identity.name
    number = await transact(request, classifiers.add, project.name, model, wanted.precision, who)
    row = await found(request, number)
    return reply(view(row), 201, {"Location": f"/v1/classifiers/{number}"})


async def train(request: Request) -> Response:
    """Train a classifier on what people have labelled: a job, whose result has the classifier's number."""
    project = await labelling_projects.member(request)
    receipt = await intake.submit(request, "train.classifier", {"project": project.name}, vouched=True)
    assert receipt.job_id is not None
    row = await transact(request, jobs.get, receipt.job_id)
    assert row is not None
    return reply(of_row(row), 202, {"Location": f"/v1/jobs/{receipt.job_id}", "Retry-After": "1"})


async def page(request: Request) -> Response:
    """Classifiers, newest first, each with its newest export."""
    rows, rest = await listed(request)
    return reply(ClassifierPage(classifiers=[view(row) for row in rows], next=rest))


async def get(request: Request) -> Response:
    """One classifier."""
    return reply(view(await asked(request)))


async def listed(request: Request) -> tuple[list[db.Row], str | None]:
    """A page of the classifiers that the caller may see, and the cursor of the next."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    before = integer(request, "cursor", 0, 999_999_999, 0) or None
    who = request.state.identity
    look = Look(who.name, who.may(Role.ADMIN), None, request.query_params.get("project"), before)
    rows = list(await transact(request, classifiers.page, look, limit + 1))
    return rows[:limit], str(rows[limit - 1]["id"]) if len(rows) > limit else None


async def asked(request: Request) -> db.Row:
    """The classifier in the path."""
    return await found(request, number_of(request.path_params["classifier"]))


async def found(request: Request, number: int) -> db.Row:
    """A classifier of a project that the caller may see. 404 when there is none, 403 for others."""
    row = await transact(request, classifiers.get, number)
    if row is None:
        raise Problem(404, "unknown_classifier", "There is no such classifier.")
    await labelling_projects.member(request, row["project"])
    return row


def number_of(text: str) -> int:
    """A classifier's number. Raises a 400 problem for what is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not 1 <= int(text) <= LARGEST_ID:
        raise Problem(400, "bad_classifier_id", "A classifier's id is a whole number from 1.", field="clfId")
    return int(text)


def view(row: db.Row) -> ClassifierView:
    """A row as callers see it."""
    return ClassifierView.model_validate(dict(row) | {"download": status_of(row["export_state"])})
