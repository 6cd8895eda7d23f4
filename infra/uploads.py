"""Uploads: content that becomes the tasks of a project. Decided here, cut by a job, shown in the job's transaction.

One content of a project has one set of tasks that counts. Another upload of it, by force, is cut aside; its tasks take
the place of the others in the transaction in which its job succeeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import annotations, blobs, db, jobs, submission
from infra.annotations import Author, Work
from infra.claims import Claim
from infra.ids import new_id
from infra.submission import Receipt, Verdict
from schemas.commands import Command
from schemas.registry import KINDS

TASKS, BOTH, ANNOTATIONS = 0, 1, 2
HUMAN_WORK = "People have annotated tasks of this content, and they would be lost: confirm that."


class Refusal(Exception):
    """What is asked for cannot be done as things are; nothing was written."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra


@dataclass(frozen=True)
class Cut:
    """The job that is to cut a content: its kind, and its parameters with full SHA-256s."""

    kind: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """An upload as it is asked for. `identity` says which content it is; None for whatever the upload `id` had."""

    id: str
    project: str
    identity: str | None
    request_type: int
    version: int
    frames_per_task: int | None
    author: Author
    cut: Cut | None = None
    detector: str = ""
    force: bool = False
    confirmed: bool = False


@dataclass
class Accepted:
    """What was made: jobs to be published once this is committed."""

    jobs: list[tuple[Command, Receipt]] = field(default_factory=list)


def accept(connection: Connection, wanted: Wanted) -> Accepted:
    """Take an upload on, with its jobs. Raises Refusal."""
    if db.row(connection, "uploads.project", id=wanted.project) is None:
        raise Refusal(404, "unknown_project", "There is no such project.")
    earlier = db.row(connection, "uploads.lock", id=wanted.id)
    content = _content(connection, wanted, earlier)
    look = db.rows(connection, "uploads.look", content=content)[0]
    _check_version(wanted, look)
    if wanted.request_type == ANNOTATIONS:
        return _annotate(connection, wanted, content, look)
    _check_content(wanted, earlier, look)
    return _cut(connection, wanted, content)


def create(connection: Connection, upload: str, project: str, created_by: str) -> None:
    """Note an upload that nothing is known of yet."""
    if db.row(connection, "uploads.project", id=project) is None:
        raise Refusal(404, "unknown_project", "There is no such project.")
    if db.row(connection, "uploads.lock", id=upload) is not None:
        raise Refusal(409, "upload_exists", "There is an upload with this id.")
    _put(connection, Wanted(upload, project, None, TASKS, 0, None, Author(created_by)), None, None, None)


def note_error(connection: Connection, upload: str, code: str, message: str) -> None:
    """Write down why nothing became of an upload that is known."""
    db.run(connection, "uploads.note_error", id=upload, code=code, message=message)


def get(connection: Connection, upload: str) -> db.Row | None:
    """One upload, and how it goes."""
    return db.row(connection, "uploads.view", id=upload, project=None, cursor_time=None, cursor_id=None, limit=1)


def page(connection: Connection, project: str, cursor: tuple[datetime, str] | None, limit: int) -> Sequence[db.Row]:
    """Uploads of a project, newest first."""
    time, key = cursor if cursor is not None else (None, None)
    values = {"project": project, "cursor_time": time, "cursor_id": key, "limit": limit}
    return db.rows(connection, "uploads.view", id=None, **values)


def delete(connection: Connection, upload: str) -> bool:
    """Delete an upload with its tasks, boxes and objects; its live jobs are cancelled. What datasets need stays."""
    _cancel_jobs(connection, upload)  # before our lock: a job that is just ending wants the same rows, its own first
    row = db.row(connection, "uploads.lock", id=upload)
    if row is None:
        return False
    made = _cancel_jobs(connection, upload)
    db.run(connection, "uploads.delete", upload=upload)
    db.run(connection, "uploads.delete_empty_content", content=row["content_id"])
    blobs.release(connection, made["keepers"], made["jobs"])
    return True


def _cancel_jobs(connection: Connection, upload: str) -> db.Row:
    """Cancel the jobs of an upload; what they have made."""
    made = db.rows(connection, "uploads.made", upload=upload)[0]
    for job_id in made["jobs"]:
        jobs.cancel(connection, job_id)
    return made


def cut(connection: Connection, claim: Claim) -> int:
    """The job of an upload is about to have succeeded: its tasks show. Returns how many jobs were queued."""
    row = db.row(connection, "uploads.of_job", job_id=claim.id)
    if row is None:
        return 0  # nobody's upload, or one that was deleted meanwhile
    upload, content = row["id"], row["content_id"]
    human = db.rows(connection, "uploads.human", content=content, job=claim.id)[0]["human"]
    if human and not row["confirmed"]:
        db.run(connection, "uploads.refuse", id=upload, code="human_work", message=HUMAN_WORK)
        return 0
    replaced = db.rows(connection, "uploads.replaced", content=content, job=claim.id)[0]
    for step in ("insert_tasks", "insert_frames", "keep"):
        db.run(connection, f"uploads.{step}", job=claim.id)
    db.run(connection, "uploads.delete_replaced", content=content, job=claim.id)
    db.run(connection, "uploads.unserve", content=content)
    db.run(connection, "uploads.serve", upload=upload)
    blobs.release(connection, replaced["keepers"], replaced["jobs"])
    if row["request_type"] != BOTH:
        return 0
    author = Author(claim.submitted_by, claim.traceparent, claim.id)
    work = Work(upload, content, row["annotation_version"], row["detector"])
    return len(annotations.start(connection, work, author))


def _content(connection: Connection, wanted: Wanted, earlier: db.Row | None) -> UUID:
    """The content that it is about, locked."""
    known = None if wanted.identity is not None or earlier is None else earlier["content_id"]
    if wanted.identity is None and known is None:
        raise Refusal(400, "missing_content", "Say which content: this upload has none yet.", field="content_path")
    if known is None:
        values = {"project": wanted.project, "identity": wanted.identity}
        db.run(connection, "uploads.insert_content", id=new_id(), **values)
    else:
        values = {"project": None, "identity": None}
    row = db.row(connection, "uploads.lock_content", content=known, **values)
    assert row is not None
    return UUID(str(row["id"]))


def _check_version(wanted: Wanted, look: db.Row) -> None:
    if wanted.request_type != TASKS and wanted.version <= look["version"]:
        detail = f"The annotations are of version {look['version']}, or are being made: say a greater one."
        raise Refusal(400, "version_too_low", detail, field="auto_anno_version", current=look["version"])


def _check_content(wanted: Wanted, earlier: db.Row | None, look: db.Row) -> None:
    if earlier is not None and earlier["content_id"] is not None and not wanted.force:
        raise Refusal(409, "upload_exists", "There is an upload with this id.")
    if earlier is not None and earlier["project_id"] != wanted.project:
        raise Refusal(409, "upload_exists", "Another project has an upload with this id.")
    if look["cutting"]:
        raise Refusal(409, "upload_in_progress", "This content is being cut into tasks just now.")
    if look["served"] is not None and not wanted.force:
        detail = "The project has tasks of this content: ask by force to replace them."
        raise Refusal(409, "content_exists", detail, upload=look["served"])
    if look["human"] and not wanted.confirmed:
        raise Refusal(409, "human_work", HUMAN_WORK)


def _cut(connection: Connection, wanted: Wanted, content: UUID) -> Accepted:
    assert wanted.cut is not None
    detector = _detector(connection, wanted) if wanted.request_type == BOTH else None
    upload = wanted.id
    kind = KINDS[wanted.cut.kind]
    command = wanted.author.command(kind, wanted.cut.params)
    _put(connection, wanted, content, command.id, detector)
    [receipt] = submission.submit(connection, [command])
    if receipt.verdict is not Verdict.CREATED:
        raise Refusal(404, "unknown_file", f"A file of the upload {upload} has just been deleted.")
    return Accepted([(command, receipt)])


def _annotate(connection: Connection, wanted: Wanted, content: UUID, look: db.Row) -> Accepted:
    if look["served"] is None:
        raise Refusal(409, "no_tasks", "There are no tasks of this content to annotate.")
    previous = look["frames_per_task"]
    if wanted.frames_per_task is not None and wanted.frames_per_task != previous:
        detail = f"The tasks were cut with {previous} frames each."
        raise Refusal(400, "frames_per_task_mismatch", detail, field="frames_per_task", previous=previous)
    detector = _detector(connection, wanted)
    _put(connection, wanted, content, None, detector)
    work = Work(wanted.id, content, wanted.version, detector)
    return Accepted(annotations.start(connection, work, wanted.author))


def _detector(connection: Connection, wanted: Wanted) -> dict[str, Any]:
    found = annotations.detector(connection, wanted.detector)
    if found is None:
        raise Refusal(409, "model_missing", f"There is no detector {wanted.detector!r}.", field="detector")
    return found


def _put(
    connection: Connection, wanted: Wanted, content: UUID | None, job_id: UUID | None, detector: dict[str, Any] | None
) -> None:
    db.run(
        connection,
        "uploads.put",
        id=wanted.id,
        project=wanted.project,
        content=content,
        job_id=job_id,
        request_type=wanted.request_type,
        annotation_version=wanted.version,
        frames_per_task=wanted.frames_per_task,
        detector=db.document(detector) if detector is not None else None,
        force=wanted.force,
        confirmed=wanted.confirmed,
        created_by=wanted.author.name,
    )
