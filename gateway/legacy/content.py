"""The old content processor: `/api/processContent` and the dataset calls, in the old words and numbers.

A `content_path` is the id of an uploaded file (several, with commas, for images): no path of a caller is ever opened.
The reply comes at once; the work is a job, and the upload says how it goes.
"""

import re
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway import datasets, projects
from gateway.legacy import forms
from gateway.legacy.paging import document
from gateway.problems import Problem, problem_of
from gateway.references import HEX
from gateway.services import transact
from infra import datasets as store
from infra import uploads
from infra.uploads import ANNOTATIONS, TASKS
from schemas.datasets import VersionRequest
from schemas.uploads import UploadRequest

ID = re.compile(r"[0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NUMBER = re.compile(r"-?[0-9]{1,18}")
IMAGES = 2
HIGHEST_RATE, LARGEST_VERSION, LARGEST_TASK = 1000, 1_000_000, 10_000


async def process(request: Request) -> Response:
    """Make tasks of an uploaded file, annotate them, or both: 202 with the id of the upload."""
    fields = await forms.kept(request)
    upload = _id(fields, "upload_id")
    try:
        project, asked = _asked(fields, upload)
        wanted = await projects.wanted_of(request, project, upload, asked)
        await projects.take_on(request, wanted, make_project=True)
    except (Problem, uploads.Refusal) as error:
        problem = problem_of(error)
        await transact(request, uploads.note_error, upload, problem.code, problem.detail)
        raise
    return document(await _told(request, upload), 202, {"Location": f"/v1/uploads/{upload}", "Retry-After": "1"})


async def state(request: Request) -> Response:
    """How an upload goes: `?upload_id=`. Status 0 in progress, 1 completed, 2 error."""
    return document(await _told(request, _id(dict(request.query_params), "upload_id")))


async def create_dataset(request: Request) -> Response:
    """Build the dataset version `data_version_id`: 202. However often it is asked for, it is built once."""
    version = _version(await forms.kept(request))
    await datasets.start(request, version)
    return document({"success": True, "data_version_id": version}, 202, {"Location": f"/v1/dataset-versions/{version}"})


async def edit_dataset(request: Request) -> Response:
    """A new version like `data_version_id`, of its tasks as they are now: 202 with the new `data_version_id`."""
    row = await transact(request, store.by_id, _version(await forms.kept(request)))
    if row is None:
        raise Problem(404, "unknown_version", "There is no such version.", field="data_version_id")
    wanted = VersionRequest(base=store.written(row["number"]), build=True)
    version = await datasets.make(request, row["group_name"], wanted)
    return document({"success": True, "data_version_id": version}, 202, {"Location": f"/v1/dataset-versions/{version}"})


async def _told(request: Request, upload: str) -> dict[str, Any]:
    row = await projects.upload_row(request, upload)
    view = projects.view_of(row)
    return {
        "success": True,
        "upload_id": view.id,
        "project_id": view.project_id,
        "status": view.status,
        "state": view.state,
        "progress": view.progress,
        "taskCount": view.task_count,
        "request_type": view.request_type,
        "request_annotation_version": view.annotation_version,
        "errorMessage": view.error,
        "createdAt": view.created_at,
        "finishedAt": view.finished_at,
        "job_id": view.job_id,
    }


def _asked(fields: dict[str, Any], upload: str) -> tuple[str, UploadRequest]:
    """The project and the request in a form. Every field is looked at before anything is done."""
    rate = _number(fields, "frame_rate", 1, HIGHEST_RATE)
    project = _id(fields, "project_id")
    force = _number(fields, "force_write", 0, 1)
    kind = _number(fields, "request_type", 0, 2)
    version = _number(fields, "auto_anno_version", 0, LARGEST_VERSION)
    if (kind == TASKS) != (version == 0):
        raise _invalid("auto_anno_version", "is 0 for request_type 0, and greater than 0 for 1 and 2")
    images = _number(fields, "content_type", 1, 2) == IMAGES
    values: dict[str, Any] = {
        "id": upload,
        "request_type": kind,
        "annotation_version": version,
        "force": force == 1,
        "confirm": _number(fields, "confirm_loss", 0, 1, default=0) == 1,
        "rate": rate,
    }
    if fields.get("frames_per_task") not in (None, ""):
        values["frames_per_task"] = _number(fields, "frames_per_task", 1, LARGEST_TASK)
    if fields.get("detector") not in (None, ""):
        values["detector"] = str(fields["detector"])
    if kind != ANNOTATIONS or fields.get("content_path") not in (None, ""):
        references = _references(fields)
        values |= {"images": references} if images else {"file": references[0]}
    try:
        return project, UploadRequest.model_validate(values)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise _invalid(field, "is not valid") from None


def _references(fields: dict[str, Any]) -> list[str]:
    references = [part.strip() for part in str(forms.required(fields, "content_path")).split(",")]
    if not all(HEX.fullmatch(reference) for reference in references):
        raise _invalid("content_path", "is the id of an uploaded file: 4 to 64 hex digits; paths are not opened")
    return references


def _number(fields: dict[str, Any], name: str, low: int, high: int, default: int | None = None) -> int:
    if default is not None and fields.get(name) in (None, ""):
        return default
    given = forms.required(fields, name)
    text = str(given) if not isinstance(given, bool) else ""
    if NUMBER.fullmatch(text) is None or not low <= int(text) <= high:
        raise _invalid(name, f"is a whole number from {low} to {high}")
    return int(text)


def _id(fields: dict[str, Any], name: str) -> str:
    given = str(forms.required(fields, name)).lower()
    if ID.fullmatch(given) is None:
        raise _invalid(name, "is 24 hex digits or a UUID")
    return given


def _version(fields: dict[str, Any]) -> UUID:
    try:
        return UUID(str(forms.required(fields, "data_version_id")))
    except ValueError:
        raise _invalid("data_version_id", "is the id of a dataset version") from None


def _invalid(field: str, rule: str) -> Problem:
    return Problem(400, f"invalid_{field}", f"{field} {rule}.", field=field)
