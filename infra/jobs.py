"""Job rows as people ask for them: look, list, cancel, retry, timeline. Claims have a room of their own."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from infra import db, steps
from schemas.registry import KINDS
from schemas.states import TERMINAL, JobState


class InputsGoneError(Exception):
    """A file that the job reads is not there any more; ask for a new job with another file."""


def get(connection: Connection, job_id: UUID) -> db.Row | None:
    """One job with its inputs."""
    return db.row(connection, "jobs.get", id=job_id)


def page(
    connection: Connection, state: str | None, kind: str | None, before: UUID | None, limit: int
) -> Sequence[db.Row]:
    """Jobs, newest first, older than the job `before`."""
    return db.rows(connection, "jobs.page", state=state, kind=kind, before=before, limit=limit)


def ended(connection: Connection, job_id: UUID) -> bool:
    """Whether a job is over, or unknown."""
    return db.row(connection, "jobs.live", id=job_id) is None


def cancel(connection: Connection, job_id: UUID) -> bool:
    """Cancel a job: at once while it waits, within a heartbeat while it runs. False when it is over or unknown.

    Once this has returned True the job never succeeds.
    """
    row = db.row(connection, "jobs.lock", id=job_id)
    return row is not None and cancel_all(connection, [row]) > 0


def cancel_tree(connection: Connection, job_id: UUID) -> int:
    """Cancel a job and all that followed from it, those that follow from these included. Returns how many lived.

    Generation by generation, each locked before the next is looked at: nobody leaves children behind meanwhile.
    """
    row = db.row(connection, "jobs.lock", id=job_id)
    generation = [row] if row is not None else []
    cancelled = 0
    while generation:
        cancelled += cancel_all(connection, generation)
        generation = list(db.rows(connection, "jobs.lock_children", ids=[row["id"] for row in generation]))
    return cancelled


def retry(connection: Connection, job_id: UUID) -> bool:
    """Queue a failed or cancelled job once more, with fresh attempts. False when it is in another state.

    Raises InputsGoneError when a file that it reads is not there any more, or never was.
    """
    row = db.row(connection, "jobs.lock", id=job_id)
    if row is None or row["state"] not in {JobState.FAILED, JobState.CANCELLED}:
        return False
    if not retry_all(connection, [row]):
        raise InputsGoneError
    return True


def retry_all(connection: Connection, locked: Sequence[db.Row]) -> set[UUID]:
    """Queue failed or cancelled jobs once more; they are locked, with `id`, `kind` and `params`.

    Returns the ids of those that were queued: the inputs of the others are gone.
    """
    needed = {row["id"]: {file for _, file in KINDS[row["kind"]].references(row["params"])} for row in locked}
    hashes = sorted({sha256 for each in needed.values() for sha256 in each})
    there = {row["sha256"] for row in db.rows(connection, "submission.lock_inputs", hashes=hashes)}
    able = {row["id"]: KINDS[row["kind"]].limits.attempts for row in locked if needed[row["id"]] <= there}
    db.run(connection, "jobs.retry", ids=list(able), max_attempts=list(able.values()))
    return set(able)


def cancel_all(connection: Connection, locked: Sequence[db.Row]) -> int:
    """Cancel those of these jobs that live; they are locked, with `id` and `state`. Returns how many lived."""
    live = [row for row in locked if row["state"] not in TERMINAL]
    running = [row["id"] for row in live if row["state"] == JobState.RUNNING]
    waiting = [row["id"] for row in live if row["state"] != JobState.RUNNING]
    if running:
        db.run(connection, "jobs.cancel_running", ids=running)
    if waiting:
        db.run(connection, "jobs.cancel_waiting", ids=waiting)
        steps.discard(connection, *waiting)
    return len(live)


def timeline(connection: Connection, job_id: UUID, limit: int = 500) -> Sequence[db.Row]:
    """The facts about one job, oldest first."""
    return db.rows(connection, "jobs.timeline", job_id=job_id, limit=limit)
