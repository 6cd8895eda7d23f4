"""What a job makes: checkpoints that survive a crash, and outputs that show once the job has succeeded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import blobs, db
from schemas.registry import KINDS


@dataclass(frozen=True)
class StoredObject:
    """An object that was written and that a row may now name. Hashes in lower-case hex, size in bytes."""

    name: str
    sha256: str
    sha1: str
    size: int
    content_type: str
    object_key: str


@dataclass(frozen=True)
class Checkpoint:
    """A finished part of a job: its record and its objects."""

    name: str
    ordinal: int
    record: dict[str, Any]
    objects: tuple[StoredObject, ...]


def checkpoint(connection: Connection, job_id: UUID, token: int, step: Checkpoint) -> bool:
    """Commit a part of the work while the claim stands. False when the claim is lost: nothing was written."""
    held = db.row(connection, "claims.hold", id=job_id, token=token)
    if held is None:
        return False
    made = db.run(
        connection,
        "steps.insert_step",
        job_id=job_id,
        name=step.name,
        ordinal=step.ordinal,
        token=token,
        record=db.document(step.record),
    )
    if made:
        add_outputs(connection, job_id, step.objects, step.name, replace=held["discarding"])
        allowance = KINDS[held["kind"]].limits.attempts
        db.run(connection, "steps.earn_attempts", job_id=job_id, allowance=allowance)
    return True


def add_outputs(
    connection: Connection, job_id: UUID, objects: Sequence[StoredObject], step: str | None, replace: bool
) -> None:
    """Name objects as outputs of a job. Bytes that were stored before keep their first object; ours is erased.

    With `replace`, what an earlier life of the job left in their place goes.
    """
    replaced = _forget(connection, job_id, objects, step) if replace else []
    if objects:
        _insert_outputs(connection, job_id, objects, step)
    blobs.let_go(connection, replaced)


def checkpoints(connection: Connection, job_id: UUID) -> list[Checkpoint]:
    """The parts that were committed so far, by ordinal."""
    objects: dict[str, list[StoredObject]] = {}
    for row in db.rows(connection, "steps.step_artifacts", job_id=job_id):
        values = dict(row)
        objects.setdefault(values.pop("step"), []).append(StoredObject(**values))
    return [
        Checkpoint(row["name"], row["ordinal"], row["record"], tuple(objects.get(row["name"], ())))
        for row in db.rows(connection, "steps.steps", job_id=job_id)
    ]


def discard(connection: Connection, *job_ids: UUID) -> None:
    """Have what unsuccessful jobs made let go of, by and by: there may be far too much for one transaction."""
    db.run(connection, "steps.discard", job_ids=list(job_ids))


def discard_ended(connection: Connection, batch: int = 2000) -> int:
    """Let go of at most `batch` outputs of one unsuccessful job, of its steps first. Returns the rows that went.

    0 when nothing waits. Take a transaction for each call. While a person has such a job run again, its steps stay and
    count; what of its outputs belongs to no step any more goes all the same.
    """
    found = db.row(connection, "steps.next_discard")
    if found is None:
        return 0
    job_id = found["job_id"]
    went = db.run(connection, "steps.discard_steps", job_id=job_id) if found["ended"] else 0
    gone = [row["sha256"] for row in db.rows(connection, "steps.discard_outputs", job_id=job_id, batch=batch)]
    blobs.let_go(connection, gone)
    if len(gone) < batch:
        went += db.run(connection, "steps.discarded", job_id=job_id)
    return went + len(gone)


def outputs(connection: Connection, job_id: UUID, after: str, limit: int) -> Sequence[db.Row]:
    """A page of a succeeded job's outputs, by name."""
    return db.rows(connection, "steps.outputs", job_id=job_id, after=after, limit=limit)


def output(connection: Connection, job_id: UUID, name: str) -> str | None:
    """The SHA-256 of one output of a succeeded job."""
    row = db.row(connection, "steps.output", job_id=job_id, name=name)
    return row["sha256"] if row is not None else None


def _forget(connection: Connection, job_id: UUID, objects: Sequence[StoredObject], step: str | None) -> list[str]:
    names = [o.name for o in objects]
    gone = db.rows(connection, "steps.forget_outputs", job_id=job_id, step=step, names=names)
    return [row["sha256"] for row in gone]


def _insert_outputs(connection: Connection, job_id: UUID, objects: Sequence[StoredObject], step: str | None) -> None:
    blobs.add(connection, [(o.sha256, o.sha1, o.size, o.object_key) for o in objects])
    db.run(
        connection,
        "steps.insert_outputs",
        job_id=job_id,
        step=step,
        name=[o.name for o in objects],
        sha256=[o.sha256 for o in objects],
        content_type=[o.content_type for o in objects],
    )
