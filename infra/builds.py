"""Builds of dataset versions: a job for each task, and archives that wait for all of them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import db, jobs, submission
from infra.annotations import Author
from infra.claims import Claim
from infra.submission import Receipt
from schemas.commands import Command
from schemas.datasets import VersionRequest
from schemas.registry import KINDS

Made = list[tuple[Command, Receipt]]


def build(connection: Connection, version: UUID, author: Author) -> Made | None:
    """Start what has not been started, and try again what has failed. None for an unknown version.

    However often it is asked for, each task has one job. Returns the new jobs, to be published.
    """
    row = db.row(connection, "datasets.lock_version", id=version)
    if row is None:
        return None
    failed = [each["job_id"] for each in db.rows(connection, "datasets.failed", version=version)]
    for job_id in failed:
        jobs.retry(connection, job_id)
    tasks = [each["task_id"] for each in db.rows(connection, "datasets.unstarted", version=version)]
    commands = [author.command(KINDS["dataset.task"], {"version": version, "task": task}) for task in tasks]
    made = _submit(connection, commands)
    db.run(connection, "datasets.started", version=version, tasks=tasks, jobs=[command.id for command in commands])
    if failed or tasks:
        for form in VersionRequest.model_validate(row["request"]).formats:
            made += _pack(connection, version, form, None, author)
    return made


def pack(connection: Connection, version: UUID, form: str, sample: int | None, author: Author) -> Made | None:
    """Make an archive once the version is built; nothing new while one is there or coming. None: no such version."""
    if db.row(connection, "datasets.lock_version", id=version) is None:
        return None
    return _pack(connection, version, form, sample, author)


def built(connection: Connection, claim: Claim) -> int:
    """A task of a version is about to have been built: what it made is kept and shows."""
    row = db.row(connection, "datasets.of_job", job_id=claim.id)
    if row is not None:
        of = {"version": row["version_id"], "task": row["task_id"]}
        db.run(connection, "datasets.built_frames", job_id=claim.id, **of)
        db.run(connection, "datasets.keep", **of)
        db.run(connection, "datasets.built", job_id=claim.id, **of)
    return 0


def packed(connection: Connection, claim: Claim) -> int:
    """An archive is about to be there."""
    for row in db.rows(connection, "datasets.packed", job_id=claim.id):
        db.run(connection, "datasets.keep_one", version=row["version_id"], sha256=row["sha256"])
    return 0


def archive_name(form: str, sample: int | None) -> str:
    """What an archive is called among those of its version."""
    return form if sample is None else f"{form}-sample"


def _pack(connection: Connection, version: UUID, form: str, sample: int | None, author: Author) -> Made:
    name = archive_name(form, sample)
    before = db.row(connection, "datasets.archive_job", version=version, format=name)
    if before is not None and (before["sha256"] is not None or before["state"] in {"scheduled", "queued", "running"}):
        return []
    waits = tuple(row["job_id"] for row in db.rows(connection, "datasets.task_jobs", version=version))
    params = {"version": version, "format": form, "sample": sample}
    command = author.command(KINDS["dataset.archive"], params, after=waits)
    db.run(connection, "datasets.put_archive", version=version, format=name, job=command.id)
    return _submit(connection, [command])


def _submit(connection: Connection, commands: Sequence[Command]) -> Made:
    return list(zip(commands, submission.submit(connection, commands), strict=True))
