"""A dataset version as callers see it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from starlette.requests import Request

from gateway.problems import Problem
from gateway.services import transact
from infra import datasets, db
from infra.storage import Storage
from schemas.datasets import SPLITS, ArchiveView, DatasetItemView, SplitShare, TaskState, VersionSummary, VersionView


async def view(request: Request, version: UUID) -> VersionView:
    """A version by its id, whole. Raises a 404 problem."""
    row = await transact(request, datasets.by_id, version)
    if row is None:
        raise unknown()
    return await of_row(request, row)


async def of_row(request: Request, row: db.Row) -> VersionView:
    """The version in a row, whole."""
    tasks = await transact(request, datasets.tasks, row["id"])
    archives = await transact(request, datasets.archives, row["id"])
    return VersionView(
        **summary(row).model_dump(),
        classes=row["classes"],
        kind="YOLO" if row["request"]["labels"] else "DEFAULT",
        image_count=sum(task["images"] for task in tasks),
        size=sum(task["size"] for task in tasks),
        file_count=sum(task["files"] for task in tasks),
        unmatched=row["unmatched"],
        splits=_shares(tasks),
        warnings=_warnings(tasks),
        task_list=[TaskState.model_validate(dict(task)) for task in tasks],
        archives=[_archive(each, _here(row)) for each in archives],
        request=row["request"],
    )


def summary(row: db.Row) -> VersionSummary:
    """The version in a row, as a list shows it."""
    pending = row["tasks"] - row["complete"] - row["failed"]
    return VersionSummary(
        id=row["id"],
        group=row["group_name"],
        version=datasets.written(row["number"]),
        state=_state(row, pending),
        progress=int(1000 * row["complete"] / row["tasks"]) / 10,
        is_error=row["failed"] > 0,
        errors=row["errors"][:20],
        tasks={"complete": row["complete"], "failed": row["failed"], "pending": pending},
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def item(storage: Storage, group: str, version: str, row: db.Row, ttl: int) -> DatasetItemView:
    """A picture of a version. Its keys are what the old system called its objects."""
    task, frame, augmentation = row["task_id"], row["frame"], row["augmentation"]
    folder = f"dataset/{group}/{task}/{frame}" + (f"/{augmentation}" if augmentation else "")
    stem = f"{augmentation}_{frame}" if augmentation else str(frame)
    text = row["text_object"]
    return DatasetItemView.model_validate(
        dict(row)
        | {
            "image_key": f"{folder}/{stem}.jpg",
            "text_key": f"{folder}/{version}_{stem}.txt",
            "image_url": storage.address(row["image_object"], ttl),
            "text_url": storage.address(text, ttl) if text is not None else None,
            "expires_in": ttl,
        }
    )


def unknown() -> Problem:
    """No such version."""
    return Problem(404, "unknown_version", "There is no such version of a dataset.")


def _state(row: db.Row, pending: int) -> str:
    if row["complete"] == row["tasks"]:
        return "complete"
    if row["started"] == 0:
        return "created"
    return "pending" if pending else "failed"


def _shares(tasks: Sequence[db.Row]) -> dict[str, SplitShare]:
    by = "objects" if any(task["objects"] for task in tasks) else "images"
    whole = sum(task[by] for task in tasks) or 1
    shares: dict[str, SplitShare] = {}
    for split in SPLITS:
        part: list[Any] = [task for task in tasks if task["split"] == split]
        shares[split] = SplitShare(
            tasks=len(part),
            images=sum(task["images"] for task in part),
            objects=sum(task["objects"] for task in part),
            percentage=round(100 * sum(task[by] for task in part) / whole, 2),
        )
    return shares


def _warnings(tasks: Sequence[db.Row]) -> list[str]:
    splits: dict[UUID, set[str]] = {}
    for task in tasks:
        splits.setdefault(task["content_id"], set()).add(task["split"])
    torn = sum(len(found) > 1 for found in splits.values())
    if not torn:
        return []
    of = f"{torn} of {len(splits)}"
    return [f"Tasks of one video are in several splits (videos: {of}): what is tested on looks like what was learned."]


def _archive(row: db.Row, here: str) -> ArchiveView:
    href = f"{here}/archives/{row['format']}" if row["sha256"] is not None else None
    return ArchiveView.model_validate(dict(row) | {"href": href})


def _here(row: db.Row) -> str:
    return f"/v1/datasets/{row['group_name']}/versions/{datasets.written(row['number'])}"
