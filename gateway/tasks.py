"""`/v1/tasks`: what is to be annotated, and what people and detectors say is on it. `/v1/detectors`: the latter."""

import re
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from gateway import intake, queries
from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.intake import Asked
from gateway.problems import Problem
from gateway.references import resolve
from gateway.services import transact
from gateway.views import of_row
from infra import annotations, db, jobs
from infra.annotations import Filter
from schemas.detection import BUILT_IN
from schemas.uploads import (
    BoxesIn,
    DetectorList,
    DetectorRequest,
    DetectorView,
    FramePage,
    FrameView,
    ImportRequest,
    TaskChange,
    TaskPage,
    TaskView,
)

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


async def page(request: Request) -> Response:
    """Tasks of a project, an upload or a status, as they were cut: by upload, and by number within each."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    given = request.query_params
    status = integer(request, "status", 0, 99, 0) if "status" in given else None
    wanted = Filter(given.get("project"), given.get("upload"), status)
    found = await transact(request, annotations.page, wanted, _after(request), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    rest = queries.cursor(last["created_at"], f"{last['number']}.{last['id']}") if last is not None else None
    return reply(TaskPage(tasks=[TaskView.model_validate(dict(row)) for row in found[:limit]], next=rest))


async def get(request: Request) -> Response:
    """One task."""
    return reply(await view(request))


async def change(request: Request) -> Response:
    """Set a task's states, or who has it."""
    wanted = await read(request, TaskChange)
    changes = wanted.model_dump(exclude_unset=True)
    await transact(request, annotations.change, _task(request), changes)
    return reply(await view(request))


async def frames(request: Request) -> Response:
    """Frames of a task with their boxes, in order."""
    task = (await _found(request))["id"]
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    after = integer(request, "cursor", 0, 999_999_999, 0)
    found = await transact(request, annotations.frames, task, after, limit + 1)
    rest = str(found[limit - 1]["number"]) if len(found) > limit else None
    return reply(FramePage(frames=[FrameView.model_validate(dict(row)) for row in found[:limit]], next=rest))


async def put_boxes(request: Request) -> Response:
    """Say what is on a frame, in place of all that was said before. Detectors leave it alone from then on."""
    wanted = await read(request, BoxesIn)
    row = await _found(request)
    number = request.path_params["frame"]
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise _unknown_frame()
    boxes = [box.model_dump() | {"frame": int(number), "place": n} for n, box in enumerate(wanted.boxes)]
    if not await transact(request, annotations.say, row["id"], [int(number)], boxes):
        raise _unknown_frame()
    frame = await transact(request, annotations.frame, row["id"], int(number))
    assert frame is not None
    return reply(FrameView.model_validate(dict(frame)))


async def bring_in(request: Request) -> Response:
    """Read annotations of a task from a file that another tool has written: 202 with the job that does it."""
    wanted = await read(request, ImportRequest)
    row = await _found(request)
    params = {"task": str(row["id"]), "file": wanted.file, "format": wanted.format}
    _, receipt = await intake.accept(request, Asked("annotate.import", params, vouched=True))
    assert receipt.job_id is not None
    job = await transact(request, jobs.get, receipt.job_id)
    assert job is not None
    return reply(of_row(job), 202, {"Location": f"/v1/jobs/{receipt.job_id}", "Retry-After": "1"})


async def detectors(request: Request) -> Response:
    """Who can annotate: the built-in detector, and models by name."""
    found = await transact(request, annotations.detectors)
    return reply(DetectorList(detectors=[DetectorView.model_validate(each) for each in found]))


async def put_detector(request: Request) -> Response:
    """Make an ONNX model known under a name, or replace the one of that name."""
    name = request.path_params["name"]
    if NAME.fullmatch(name) is None or name == BUILT_IN:
        raise Problem(400, "bad_name", "A name has 1 to 100 characters of a-z, 0-9, dot, dash and underscore.")
    wanted = await read(request, DetectorRequest)
    model = (await resolve(request, wanted.model))["sha256"]
    settings = wanted.settings.model_dump(mode="json")
    await transact(request, annotations.put_detector, name, model, settings, request.state.identity.name)
    return reply(DetectorView(name=name, model=model, settings=wanted.settings))


async def view(request: Request) -> TaskView:
    """The task in the path. Raises a 404 problem."""
    return TaskView.model_validate(dict(await _found(request)))


async def _found(request: Request) -> db.Row:
    row = await transact(request, annotations.get, _task(request))
    if row is None:
        raise _unknown()
    return row


def _task(request: Request) -> UUID:
    return _uuid(request.path_params["task_id"], _unknown())


def _after(request: Request) -> annotations.Place | None:
    """Where the page before ended. Raises a 400 problem for a cursor that this list never gave."""
    given = queries.after(request)
    if given is None:
        return None
    number, _, last = given[1].partition(".")
    unknown = Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor")
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise unknown
    return given[0], int(number), _uuid(last, unknown)


def _uuid(text: str, otherwise: Problem) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise otherwise from None


def _unknown() -> Problem:
    return Problem(404, "unknown_task", "There is no such task.")


def _unknown_frame() -> Problem:
    return Problem(404, "unknown_frame", "The task has no such frame; they count from 1.")
