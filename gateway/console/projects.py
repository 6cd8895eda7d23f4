"""From uploads to tasks: projects, what was uploaded to them, the tasks that came out, and frames with their boxes."""

from typing import Any
from urllib.parse import quote, urlencode

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway import projects as api
from gateway import queries, tasks
from gateway.bodies import integer
from gateway.console import page, rendering
from gateway.problems import Problem, invalid
from gateway.services import transact
from infra import annotations, files, projects, uploads
from infra.annotations import Filter
from infra.ids import new_id
from schemas.uploads import ProjectRequest, TaskChange, UploadRequest

SHOWN = 50
TASKS = 200
FRAMES = 24
LAST_FRAME = 999_999_999
#: The words for the numbers that annotation clients know.
AUDIT = ("pending", "accepted", "rejected", "fixed", "fixing", "completed")
WORK = ("not started", "in progress", "completed")
FIT = {6: "accepted", 12: "checked"}
FIELDS = ("file", "rate", "frames_per_task", "request_type", "annotation_version", "detector")


async def listing(request: Request) -> Response:
    """All projects, and a form for another. A file in the query goes along to the one that is chosen."""
    found = await transact(request, projects.page, request.query_params.get("after", ""), SHOWN + 1)
    rest = found[SHOWN - 1]["id"] if len(found) > SHOWN else None
    file = request.query_params.get("file", "")
    older = "/console/projects?" + urlencode({"after": rest, "file": file}) if rest else None
    onward = "?" + urlencode({"file": file}) if file else ""
    return rendering.page(request, "projects/listing.html", rows=found[:SHOWN], older=older, onward=onward)


async def create(request: Request) -> Response:
    """Make a project."""
    try:
        wanted = ProjectRequest.model_validate({"name": page.text(await page.form(request), "name")})
    except ValidationError as error:
        raise invalid(error) from None
    made = str(new_id())
    await transact(request, projects.put, made, wanted.name, request.state.identity.name)
    return page.back(f"/console/projects/{made}", "created")


async def show(request: Request) -> Response:
    """One project with its uploads."""
    return await _project(request)


async def upload(request: Request) -> Response:
    """Make tasks of a file; what is wrong is said above the form."""
    project = request.path_params["project_id"]
    fields = await page.form(request)
    given = {name: value for name in FIELDS if (value := page.text(fields, name))}
    numbers = ("frames_per_task", "request_type", "annotation_version")
    try:
        asked = UploadRequest.model_validate({k: _number(v) if k in numbers else v for k, v in given.items()})
        name = str(new_id())
        await api.take_on(request, await api.wanted_of(request, project, name, asked))
    except ValidationError as error:
        return await _project(request, invalid(error), given)
    except (Problem, uploads.Refusal) as refused:
        return await _project(request, refused, given)
    return page.back(f"/console/uploads/{name}", "started")


async def uploaded(request: Request) -> Response:
    """One upload: how it goes, and its tasks."""
    view = await api.upload_view(request, request.path_params["upload_id"])
    found = await transact(request, annotations.page, Filter(upload=view.id), None, TASKS)
    return rendering.page(
        request,
        "projects/upload.html",
        upload=view,
        project=await api.project_view(request, view.project_id),
        tasks=found,
        most=TASKS,
        audit=AUDIT,
        work=WORK,
        fit=FIT,
    )


async def task(request: Request) -> Response:
    """One task: its film, and its frames with the boxes that people and detectors see on them."""
    view = await tasks.view(request)
    after = integer(request, "after", 0, LAST_FRAME, 0)
    frames = await transact(request, annotations.frames, view.id, after, FRAMES + 1)
    here = f"/console/tasks/{view.id}"
    return rendering.page(
        request,
        "projects/task.html",
        task=view,
        project=await api.project_view(request, view.project_id),
        frames=frames[:FRAMES],
        later=f"{here}?after={frames[FRAMES - 1]['number']}" if len(frames) > FRAMES else None,
        earlier=f"{here}?after={max(after - FRAMES, 0)}" if after else None,
        audit=AUDIT,
        work=WORK,
        fit=FIT,
    )


async def change(request: Request) -> Response:
    """Say how far a task is, and whether it is fit for datasets."""
    view = await tasks.view(request)
    fields = await page.form(request)
    given = {name: value for name in ("status", "audit_status", "task_status") if (value := page.text(fields, name))}
    try:
        wanted = TaskChange.model_validate({name: _number(value) for name, value in given.items()})
    except ValidationError as error:
        raise invalid(error) from None
    await transact(request, annotations.change, view.id, wanted.model_dump(exclude_unset=True))
    return page.back(f"/console/tasks/{view.id}", "changed")


async def _project(
    request: Request, wrong: Problem | uploads.Refusal | None = None, given: dict[str, Any] | None = None
) -> Response:
    project = await api.project_view(request, request.path_params["project_id"])
    found = await transact(request, uploads.page, project.id, queries.after(request), SHOWN + 1)
    rows = found[:SHOWN]
    rest = queries.cursor(rows[-1]["created_at"], rows[-1]["id"]) if len(found) > SHOWN else None
    return rendering.page(
        request,
        "projects/project.html",
        wrong.status if wrong is not None else 200,
        project=project,
        uploads=[api.view_of(row) for row in rows],
        older=f"/console/projects/{quote(project.id)}?" + urlencode({"cursor": rest}) if rest else None,
        detectors=await transact(request, annotations.detectors),
        newest=await transact(request, files.page, files.Filter(), None, SHOWN),
        wrong=wrong,
        given=given or {"file": request.query_params.get("file", "")},
    )


def _number(text: str) -> int | str:
    """A whole number; other text stays, and is refused where it is checked."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else text
