"""Datasets: groups of versions, each a picture of accepted tasks as they were when it was made.

What a version shows never changes, but for which split a task is in. 1.2.3 is number 123: versions compare as numbers.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import blobs, db, jobs
from infra.ids import new_id
from infra.splits import share
from infra.uploads import Refusal
from schemas.datasets import SplitRequest, VersionRequest

FIRST_NUMBER = 100
BEYOND = 2**31 - 1
LATEST = "latest"
START = (UUID(int=0), 0, "")


def written(number: int) -> str:
    """A version's number as people write it."""
    return f"{number // 100}.{number // 10 % 10}.{number % 10}"


def number_of(version: str) -> int:
    """The number of a version that is written `a.b.c`."""
    return int(version.replace(".", ""))


def create(connection: Connection, group: str, asked: VersionRequest, created_by: str) -> UUID:
    """Make the next version of a dataset from tasks as they are now. Raises Refusal."""
    db.run(connection, "datasets.put_group", name=group)
    db.row(connection, "datasets.lock_group", name=group)
    wanted = _with_base(connection, group, asked)
    tasks = _tasks(connection, wanted)
    ids = [row["id"] for row in tasks]
    classes = _classes(connection, wanted, ids)
    splits = _splits(tasks, wanted.split)
    last = db.rows(connection, "datasets.last_number", name=group)[0]["number"]
    version = new_id()
    db.run(
        connection,
        "datasets.insert_version",
        id=version,
        name=group,
        number=FIRST_NUMBER if last is None else last + 1,
        request=db.document(wanted.model_dump(mode="json")),
        classes=db.document(classes),
        created_by=created_by,
    )
    db.run(connection, "datasets.insert_tasks", version=version, tasks=ids, splits=[splits[task] for task in ids])
    db.run(connection, "datasets.insert_frames", version=version)
    db.run(connection, "datasets.keep", version=version, task=None)
    return version


def rebalance(connection: Connection, version: UUID, wanted: SplitRequest) -> bool:
    """Split a version anew; its pictures stay, its archives go. False for an unknown version. Raises Refusal."""
    if db.row(connection, "datasets.lock_version", id=version) is None:
        return False
    tasks = db.rows(connection, "datasets.weights", version=version)
    if wanted.manual is not None:
        _check_manual(wanted.manual.tasks, [row["id"] for row in tasks])
    splits = _splits(tasks, wanted)
    db.run(
        connection, "datasets.set_splits", version=version, tasks=list(splits), splits=[splits[task] for task in splits]
    )
    gone = db.rows(connection, "datasets.drop_archives", version=version)
    hashes = [row["sha256"] for row in gone if row["sha256"] is not None]
    db.run(connection, "datasets.unkeep_archives", version=version, sha256=hashes)
    _cancel(connection, [row["job_id"] for row in gone])
    blobs.release(connection, (), [row["job_id"] for row in gone])
    blobs.let_go(connection, hashes)
    return True


def delete(connection: Connection, version: UUID) -> bool:
    """Delete a version with what only it needs; the last one takes its group along. False for an unknown version."""
    row = db.row(connection, "datasets.lock_version", id=version)
    if row is None:
        return False
    made = [each["job_id"] for each in db.rows(connection, "datasets.jobs", version=version)]
    _cancel(connection, made)
    db.run(connection, "datasets.delete_version", id=version)
    db.run(connection, "datasets.delete_empty_group", name=row["group_name"])
    blobs.release(connection, [f"dataset:{version}"], made)
    return True


def groups(connection: Connection, after: str, limit: int) -> Sequence[db.Row]:
    """Datasets by name."""
    return db.rows(connection, "datasets.groups", name=None, after=after, limit=limit)


def group(connection: Connection, name: str) -> db.Row | None:
    """One dataset."""
    return db.row(connection, "datasets.groups", name=name, after="", limit=1)


def versions(connection: Connection, name: str, before: int | None, limit: int) -> Sequence[db.Row]:
    """Versions of a dataset, newest first."""
    values = {"id": None, "name": name, "number": None, "complete": False}
    return db.rows(connection, "datasets.versions", **values, before=before or BEYOND, limit=limit)


def find(connection: Connection, name: str, version: str) -> db.Row | None:
    """A version by its number, or the latest one that is complete."""
    latest = version == LATEST
    number = None if latest else number_of(version)
    values = {"id": None, "name": name, "number": number, "complete": latest}
    found = db.rows(connection, "datasets.versions", **values, before=BEYOND, limit=1)
    return found[0] if found else None


def by_id(connection: Connection, version: UUID) -> db.Row | None:
    """A version by its id."""
    values = {"name": None, "number": None, "complete": False, "before": BEYOND, "limit": 1}
    return db.row(connection, "datasets.versions", id=version, **values)


def tasks(connection: Connection, version: UUID) -> Sequence[db.Row]:
    """The tasks of a version, and how the build of each goes."""
    return db.rows(connection, "datasets.tasks", version=version)


def archives(connection: Connection, version: UUID) -> Sequence[db.Row]:
    """The archives of a version."""
    return db.rows(connection, "datasets.archives", version=version)


def items(
    connection: Connection, version: UUID, split: str | None, after: tuple[UUID, int, str], limit: int
) -> Sequence[db.Row]:
    """Pictures of a version, in the order of (task, frame, augmentation)."""
    task, frame, augmentation = after
    place = {"task": task, "frame": frame, "augmentation": augmentation}
    return db.rows(connection, "datasets.items", version=version, split=split, **place, limit=limit)


def _with_base(connection: Connection, group_name: str, asked: VersionRequest) -> VersionRequest:
    """What is asked for, with what it leaves out taken from its base."""
    if asked.base is None:
        return asked
    base = find(connection, group_name, asked.base)
    if base is None:
        raise Refusal(404, "unknown_version", f"The dataset has no version {asked.base}.")
    given = asked.model_dump(mode="json", exclude_unset=True)
    if "tasks" not in given and "projects" in given:
        given["tasks"] = None
    return VersionRequest.model_validate(base["request"] | given | {"base": written(base["number"])})


def _tasks(connection: Connection, wanted: VersionRequest) -> list[db.Row]:
    """The tasks that are fit for a dataset among those that are asked for, locked. Raises Refusal."""
    manual = wanted.split.manual.tasks if wanted.split.manual is not None else None
    named = wanted.tasks or manual
    found = db.rows(connection, "datasets.candidates", ids=named, projects=wanted.projects)
    if named is not None:
        _check_known(named, {row["id"] for row in found})
    fit = [row for row in found if row["eligible"]]
    if not fit or (named is not None and len(fit) < len(found)):
        detail = "A dataset is made of tasks that are accepted (6) or checked (12), with pictures."
        left = [str(row["id"]) for row in found if not row["eligible"]][:20]
        raise Refusal(409, "no_eligible_tasks", detail, tasks=left)
    if manual is not None:
        _check_manual(manual, [row["id"] for row in fit])
    return fit


def _check_known(named: Iterable[UUID], known: set[Any]) -> None:
    unknown = [str(task) for task in named if task not in known]
    if unknown:
        raise Refusal(404, "unknown_task", "There are no such tasks.", tasks=unknown[:20])


def _check_manual(manual: Sequence[UUID], there: Sequence[UUID]) -> None:
    _check_known(manual, set(there))
    if len(manual) < len(there):
        left = [str(task) for task in there if task not in set(manual)][:20]
        raise Refusal(400, "invalid_parameter", "Every task is in one split.", field="split.manual", tasks=left)


def _classes(connection: Connection, wanted: VersionRequest, tasks: list[UUID]) -> list[str]:
    """Names of the classes: of the enabled labels in their order, or of every label there is."""
    if not wanted.labels:
        return [row["label"] for row in db.rows(connection, "datasets.labels", tasks=tasks)]
    return [rule.name or rule.label for rule in wanted.labels if rule.enabled]


def _splits(tasks: Sequence[db.Row], wanted: SplitRequest) -> dict[UUID, str]:
    """Which split each task is in."""
    if wanted.manual is not None:
        return {task: str(split) for task, split in wanted.manual.split_of().items()}
    ordered = sorted(tasks, key=lambda row: (row["name"], str(row["id"])))
    # With fewer videos than splits, some would stay empty, and nothing trains without something to validate on.
    videos = len({row["content_id"] for row in ordered})
    by_video = wanted.by_video and videos >= sum(percent > 0 for percent in dict(wanted.percentages).values())
    group_of = {row["id"]: row["content_id" if by_video else "id"] for row in ordered}
    by = "boxes" if any(row["boxes"] for row in ordered) else "frame_count"
    weights: dict[UUID, int] = {}
    for row in ordered:
        weights[group_of[row["id"]]] = weights.get(group_of[row["id"]], 0) + row[by]
    shares = share(weights, dict(wanted.percentages), wanted.seed)
    return {row["id"]: shares[group_of[row["id"]]] for row in tasks}


def _cancel(connection: Connection, job_ids: Iterable[UUID]) -> None:
    for job_id in job_ids:
        jobs.cancel(connection, job_id)
