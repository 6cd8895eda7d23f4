"""`/v1/projects` and `/v1/uploads`: content goes in, its tasks come out of a job."""

import hashlib

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway import queries
from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.problems import Problem
from gateway.references import resolve
from gateway.repeats import repeat_of
from gateway.services import services, transact
from infra import db, projects, quotas, repeats, uploads
from infra.annotations import Author
from infra.ids import new_id
from infra.repeats import Repeat
from infra.submission import Receipt
from infra.uploads import ANNOTATIONS, TASKS, Cut, Wanted
from schemas.commands import Command
from schemas.registry import Consumer
from schemas.uploads import ProjectPage, ProjectRequest, ProjectView, UploadPage, UploadRequest, UploadView

#: Inside, an upload has a state; outside there are also the numbers that annotation clients know.
STATUS = {"created": 0, "running": 0, "succeeded": 1, "failed": 2}


async def create(request: Request) -> Response:
    """Make a project: 201, or 200 when there is one with this id."""
    wanted = await read(request, ProjectRequest)
    project = wanted.id or str(new_id())
    created = await transact(request, projects.put, project, wanted.name, request.state.identity.name)
    return reply(await project_view(request, project), 201 if created else 200, {"Location": f"/v1/projects/{project}"})


async def page(request: Request) -> Response:
    """Projects by id."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, projects.page, request.query_params.get("cursor", ""), limit + 1)
    rest = found[limit - 1]["id"] if len(found) > limit else None
    return reply(ProjectPage(projects=[ProjectView.model_validate(dict(row)) for row in found[:limit]], next=rest))


async def get(request: Request) -> Response:
    """One project."""
    return reply(await project_view(request, request.path_params["project_id"]))


async def delete(request: Request) -> Response:
    """Delete a project with all that was made in it; what datasets need stays with them."""
    if not await transact(request, projects.delete, request.path_params["project_id"]):
        raise _unknown_project()
    return Response(status_code=204)


async def upload(request: Request) -> Response:
    """Make tasks of a video or images: 202. 201 for an upload that only says which id it will have."""
    asked = await read(request, UploadRequest)
    project = request.path_params["project_id"]
    name = asked.id or str(new_id())
    repeat = repeat_of(request, asked)
    if asked.file is None and asked.images is None and asked.request_type != ANNOTATIONS:
        name = await transact(request, _created, repeat, name, project, request.state.identity.name)
        return reply(await upload_view(request, name), 201, {"Location": f"/v1/uploads/{name}"})
    name = await take_on(request, await wanted_of(request, project, name, asked), repeat=repeat)
    headers = {"Location": f"/v1/uploads/{name}", "Retry-After": "1"}
    return reply(await upload_view(request, name), 202, headers)


async def upload_page(request: Request) -> Response:
    """Uploads of a project, newest first."""
    project = request.path_params["project_id"]
    await project_view(request, project)
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, uploads.page, project, queries.after(request), limit + 1)
    rows = found[:limit]
    rest = queries.cursor(rows[-1]["created_at"], rows[-1]["id"]) if len(found) > limit else None
    return reply(UploadPage(uploads=[view_of(row) for row in rows], next=rest))


async def upload_get(request: Request) -> Response:
    """One upload, and how it goes."""
    return reply(await upload_view(request, request.path_params["upload_id"]))


async def upload_delete(request: Request) -> Response:
    """Delete an upload with its tasks, boxes and objects; live jobs are cancelled. What datasets need stays."""
    if not await transact(request, uploads.delete, request.path_params["upload_id"]):
        raise _unknown_upload()
    return Response(status_code=204)


async def wanted_of(request: Request, project: str, name: str, asked: UploadRequest) -> Wanted:
    """The upload that a body asks for; its files are found. Raises a problem."""
    if asked.file is not None and asked.images is not None:
        raise Problem(400, "invalid_parameter", "Give a file or images, not both.", field="images")
    if (asked.request_type == TASKS) != (asked.annotation_version == 0):
        detail = "annotation_version is 0 for request_type 0, and greater for the others."
        raise Problem(400, "invalid_parameter", detail, field="annotation_version")
    cut, identity = await _cut(request, asked)
    if cut is None and asked.request_type != ANNOTATIONS:
        raise Problem(400, "invalid_parameter", "Say which file.", field="file")
    return Wanted(
        id=name,
        project=project,
        identity=identity,
        request_type=asked.request_type,
        version=asked.annotation_version,
        frames_per_task=asked.frames_per_task if _said(asked) else None,
        author=Author(request.state.identity.name, request.state.traceparent),
        cut=cut if asked.request_type != ANNOTATIONS else None,
        detector=asked.detector,
        force=asked.force,
        confirmed=asked.confirm,
    )


async def take_on(request: Request, wanted: Wanted, make_project: bool = False, repeat: Repeat | None = None) -> str:
    """Accept an upload in one transaction, and publish its jobs. `make_project`: if there is none with its id.

    Returns the id of the upload; of a repeated request, that of the first one.
    """
    services(request).pressure.check(Consumer.SPLITTER)
    made: list[tuple[Command, Receipt]] = []

    def accept(connection: Connection) -> str:
        def new() -> str:
            quotas.check(connection, wanted.author.name, request.state.identity.live_jobs)
            if make_project:
                projects.put(connection, wanted.project, wanted.project, wanted.author.name)
            made[:] = uploads.accept(connection, wanted).jobs
            return wanted.id

        return repeats.once(connection, repeat, new)

    name = await transact(request, accept)
    services(request).outbox.publish(made)
    return name


async def upload_view(request: Request, upload_id: str) -> UploadView:
    """One upload. Raises a 404 problem."""
    return view_of(await upload_row(request, upload_id))


async def upload_row(request: Request, upload_id: str) -> db.Row:
    """The row of one upload. Raises a 404 problem."""
    row = await transact(request, uploads.get, upload_id)
    if row is None:
        raise _unknown_upload()
    return row


def view_of(row: db.Row) -> UploadView:
    """An upload as callers see it."""
    error = {"error_code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
    return UploadView.model_validate(dict(row) | {"status": STATUS[row["state"]], "error": error})


def _created(connection: Connection, repeat: Repeat | None, name: str, project: str, created_by: str) -> str:
    def new() -> str:
        uploads.create(connection, name, project, created_by)
        return name

    return repeats.once(connection, repeat, new)


def _said(asked: UploadRequest) -> bool:
    """Frames for each task count when something is cut, and when they are said."""
    return asked.request_type != ANNOTATIONS or "frames_per_task" in asked.model_fields_set


async def _cut(request: Request, asked: UploadRequest) -> tuple[Cut | None, str | None]:
    """The job that cuts what is asked for, and which content that is."""
    if asked.file is not None:
        file = (await resolve(request, asked.file))["sha256"]
        params = {"file": file, "rate": str(asked.rate), "frames_per_task": asked.frames_per_task, "images": True}
        return Cut("split.video", params), file
    if asked.images is None:
        return None, None
    hashes = [(await resolve(request, reference))["sha256"] for reference in asked.images]
    params = {"images": hashes, "frames_per_task": asked.frames_per_task, "seed": asked.seed}
    identity = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    return Cut("split.images", params), f"images:{identity}"


async def project_view(request: Request, project: str) -> ProjectView:
    """One project. Raises a 404 problem."""
    row = await transact(request, projects.get, project)
    if row is None:
        raise _unknown_project()
    return ProjectView.model_validate(dict(row))


def _unknown_project() -> Problem:
    return Problem(404, "unknown_project", "There is no such project.")


def _unknown_upload() -> Problem:
    return Problem(404, "unknown_upload", "There is no such upload.")
