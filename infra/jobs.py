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
    if row is None or row["state"] in TERMINAL:
        return False
    if row["state"] == JobState.RUNNING:
        db.run(connection, "jobs.cancel_running", id=job_id)
    else:
        db.run(connection, "jobs.cancel_waiting", id=job_id)
        steps.discard(connection, job_id)
    return True


def retry(connection: Connection, job_id: UUID) -> bool:
    """Queue a failed or cancelled job once more, with fresh attempts. False when it is in another state.

    Raises InputsGoneError when a file that it reads is not there any more, or never was.
    """
    row = db.row(connection, "jobs.lock", id=job_id)
    if row is None or row["state"] not in {JobState.FAILED, JobState.CANCELLED}:
        return False
    kind = KINDS[row["kind"]]
    found = db.rows(connection, "submission.lock_inputs", hashes=[row["params"][name] for name in kind.inputs])
    if len(found) < len({row["params"][name] for name in kind.inputs}):
        raise InputsGoneError
    db.run(connection, "jobs.retry", id=job_id, max_attempts=kind.limits.attempts)
    return True


def timeline(connection: Connection, job_id: UUID, limit: int = 500) -> Sequence[db.Row]:
    """The facts about one job, oldest first."""
    return db.rows(connection, "jobs.timeline", job_id=job_id, limit=limit)
