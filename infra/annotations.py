"""Tasks, their frames and boxes: what people and detectors have said about each frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db, submission
from infra.claims import Claim
from infra.ids import new_id
from infra.submission import Receipt
from schemas.commands import Command, Input
from schemas.detection import BUILT_IN, Detector
from schemas.registry import KINDS, Kind

Place = tuple[datetime, int, UUID]
"""Where a task stands in a list: when it was cut, its number, its id."""


@dataclass(frozen=True)
class Author:
    """On whose behalf jobs are made, within which trace, and which job they follow from, if one."""

    name: str
    traceparent: str | None = None
    parent: UUID | None = None

    def command(self, kind: Kind, params: dict[str, Any], after: tuple[UUID, ...] = ()) -> Command:
        """A command for one job of his; files are full SHA-256s. Raises ValidationError."""
        complete = kind.params.model_validate(params).model_dump(mode="json")
        return Command(
            id=new_id(),
            kind=kind,
            params=complete,
            inputs=tuple(Input(param, file) for param, file in kind.references(complete)),
            submitted_by=self.name,
            via="http" if self.parent is None else "job",
            parent_id=self.parent,
            traceparent=self.traceparent,
            after=after,
            fresh=True,
        )


@dataclass(frozen=True)
class Work:
    """Annotate, for an upload, the tasks that count of a content, and that are of another version."""

    upload: str
    content: UUID
    version: int
    detector: dict[str, Any]


@dataclass(frozen=True)
class Filter:
    """Which tasks a listing asks for; None means any."""

    project: str | None = None
    upload: str | None = None
    status: int | None = None


def page(connection: Connection, wanted: Filter, after: Place | None, limit: int) -> Sequence[db.Row]:
    """Tasks in the order in which they were cut: by upload, and by number within each."""
    at, number, last = after or (None, None, None)
    values = {"project": wanted.project, "upload": wanted.upload, "status": wanted.status}
    place = {"after_at": at, "after_number": number, "after_id": last}
    return db.rows(connection, "tasks.view", id=None, **values, **place, limit=limit)


def get(connection: Connection, task: UUID) -> db.Row | None:
    """One task."""
    nothing = dict.fromkeys(("project", "upload", "status", "after_at", "after_number", "after_id"))
    return db.row(connection, "tasks.view", id=task, **nothing, limit=1)


def change(connection: Connection, task: UUID, changes: dict[str, Any]) -> bool:
    """Set some of `status`, `audit_status`, `task_status` and `assigned_to`. False for an unknown task."""
    values = {name: changes.get(name) for name in ("status", "audit_status", "task_status", "assigned_to")}
    return db.run(connection, "tasks.change", id=task, assign="assigned_to" in changes, **values) == 1


def frames(connection: Connection, task: UUID, after: int, limit: int) -> Sequence[db.Row]:
    """Frames of a task with their boxes, in order."""
    return db.rows(connection, "tasks.frames", task=task, after=after, number=None, limit=limit)


def frame(connection: Connection, task: UUID, number: int) -> db.Row | None:
    """One frame with its boxes."""
    return db.row(connection, "tasks.frames", task=task, after=0, number=number, limit=1)


def say(connection: Connection, task: UUID, numbers: Sequence[int], boxes: Sequence[dict[str, Any]]) -> set[int]:
    """What a person says is on some frames of a task: in place of what was said before. Returns the frames there are.

    A box has `frame`, `place`, `label`, `x`, `y`, `width`, `height` and `attributes`.
    """
    known = {row["number"] for row in db.rows(connection, "tasks.mark_annotated", task=task, numbers=list(numbers))}
    db.run(connection, "tasks.clear", task=task, numbers=list(known))
    there = [box for box in boxes if box["frame"] in known]
    db.run(connection, "tasks.insert_boxes", task=task, boxes=db.document(there))
    db.run(connection, "tasks.begin", task=task)
    return known


def detector(connection: Connection, name: str) -> dict[str, Any] | None:
    """A detector by its name, with its settings as they are now; None when there is no such model."""
    if name == BUILT_IN:
        return {"name": name, "model": None, "settings": Detector().model_dump(mode="json")}
    row = db.row(connection, "tasks.detectors", name=name)
    return dict(row) if row is not None else None


def detectors(connection: Connection) -> list[dict[str, Any]]:
    """All detectors, the built-in one first."""
    built_in = detector(connection, BUILT_IN)
    assert built_in is not None
    return [built_in, *(dict(row) for row in db.rows(connection, "tasks.detectors", name=None))]


def put_detector(connection: Connection, name: str, model: str, settings: dict[str, Any], created_by: str) -> None:
    """Make a model known under a name, or replace the one of that name."""
    values = {"name": name, "model": model, "settings": db.document(settings), "created_by": created_by}
    db.run(connection, "tasks.put_detector", **values)
    db.run(connection, "tasks.keep_model", name=name, model=model)


def start(connection: Connection, work: Work, author: Author) -> list[tuple[Command, Receipt]]:
    """Make the jobs that annotate, one for each task. Returns them with their receipts."""
    tasks = db.rows(connection, "tasks.to_annotate", content=work.content, version=work.version)
    commands = [_command(work, author, row) for row in tasks]
    receipts = submission.submit(connection, commands)
    db.run(connection, "tasks.forget_runs", upload=work.upload)
    ids = {"tasks": [row["id"] for row in tasks], "jobs": [command.id for command in commands]}
    db.run(connection, "tasks.insert_runs", upload=work.upload, **ids)
    return list(zip(commands, receipts, strict=True))


def found(connection: Connection, claim: Claim) -> int:
    """A detector is about to have succeeded: its boxes take the place of the earlier detector's. Human ones stay."""
    row = db.row(connection, "tasks.of_run", job_id=claim.id)
    if row is None:
        return 0  # asked for by hand, or the task is gone
    version = claim.params["version"]
    if version > row["annotation_version"]:
        db.run(connection, "tasks.clear_found", task=row["id"])
        db.run(connection, "tasks.insert_found", task=row["id"], job_id=claim.id)
        db.run(connection, "tasks.annotated", task=row["id"], version=version)
    db.run(connection, "tasks.run_done", job_id=claim.id)
    return 0


def imported(connection: Connection, claim: Claim) -> int:
    """An import is about to have succeeded: what it has read is what a person says."""
    task = UUID(claim.params["task"])
    if db.row(connection, "tasks.lock", id=task) is not None:
        for row in db.rows(connection, "tasks.imported", job_id=claim.id):
            say(connection, task, row["record"]["frames"], row["record"]["boxes"])
    return 0


def _command(work: Work, author: Author, row: db.Row) -> Command:
    params = {"task": row["id"], "video": row["video"], "version": work.version, "settings": work.detector["settings"]}
    model = work.detector["model"]
    if model is None:
        return author.command(KINDS["annotate.task"], params)
    return author.command(KINDS["annotate.onnx"], params | {"model": model})
