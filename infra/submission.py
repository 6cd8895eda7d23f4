"""New jobs: many commands, one transaction. The row is the outbox, so a committed job cannot be lost any more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from schemas.commands import Command


class Verdict(StrEnum):
    """What became of one command."""

    CREATED = "created"
    DUPLICATE = "duplicate"  # the same request was made before, or a live job has the key: here is that job
    KEY_REUSED = "idempotency_key_reused"  # the key was used for another request
    UNKNOWN_FILE = "unknown_file"  # an input was deleted while the request was on its way


@dataclass(frozen=True)
class Receipt:
    """The answer to one command: `job_id` is the new job, the earlier one, or None when nothing was made."""

    verdict: Verdict
    job_id: UUID | None
    state: str | None = None
    queued_at: datetime | None = field(default=None, compare=False)
    """When a new job came to the queue: what marks it as published names this queueing."""


def submit(connection: Connection, commands: Sequence[Command]) -> list[Receipt]:
    """Insert jobs and their inputs, and answer in the order of the commands. Runs in the caller's transaction."""
    wanted = sorted({i.sha256 for command in commands for i in command.inputs})
    present = (
        {row["sha256"] for row in db.rows(connection, "submission.lock_inputs", hashes=wanted)} if wanted else set()
    )
    complete = [c for c in commands if all(i.sha256 in present for i in c.inputs)]
    created = _insert(connection, complete) if complete else {}
    complete_ids = {c.id for c in complete}
    return [
        Receipt(Verdict.UNKNOWN_FILE, None)
        if command.id not in complete_ids
        else _made(command, created[command.id])
        if command.id in created
        else _earlier(connection, command)
        for command in commands
    ]


def _insert(connection: Connection, commands: Sequence[Command]) -> dict[UUID, datetime | None]:
    """The new jobs, each with the time at which it was queued; None for one that is scheduled."""
    made = db.rows(
        connection,
        "submission.insert",
        id=[c.id for c in commands],
        kind=[c.kind.name for c in commands],
        consumer=[c.kind.consumer.value for c in commands],
        params=db.documents(c.params for c in commands),
        version=[c.kind.version for c in commands],
        priority=[c.priority for c in commands],
        unique_key=[c.unique_key for c in commands],
        idempotency_key=[c.idempotency_key for c in commands],
        request_sha256=[c.request_sha256 for c in commands],
        submitted_by=[c.submitted_by for c in commands],
        via=[c.via for c in commands],
        parent_id=[c.parent_id for c in commands],
        traceparent=[c.traceparent for c in commands],
        max_attempts=[c.kind.limits.attempts for c in commands],
        run_at=[c.run_at for c in commands],
    )
    created = {row["id"]: row["queued_at"] for row in made}
    inputs = [(c.id, n, i) for c in commands if c.id in created for n, i in enumerate(c.inputs)]
    if inputs:
        db.run(
            connection,
            "submission.insert_inputs",
            job_id=[job_id for job_id, _, _ in inputs],
            position=[position for _, position, _ in inputs],
            param=[i.param for _, _, i in inputs],
            sha256=[i.sha256 for _, _, i in inputs],
        )
    return created


def _made(command: Command, queued_at: datetime | None) -> Receipt:
    return Receipt(Verdict.CREATED, command.id, "queued" if queued_at is not None else "scheduled", queued_at)


def _earlier(connection: Connection, command: Command) -> Receipt:
    """The job that was there first: by idempotency key, by live key, or by id (the same message twice)."""
    if command.idempotency_key is not None:
        row = db.row(
            connection,
            "submission.by_idempotency_key",
            submitted_by=command.submitted_by,
            idempotency_key=command.idempotency_key,
        )
        if row is not None:
            same = row["request_sha256"] == command.request_sha256
            return Receipt(Verdict.DUPLICATE if same else Verdict.KEY_REUSED, row["id"], row["state"])
    if command.unique_key is not None:
        row = db.row(connection, "submission.by_live_key", kind=command.kind.name, unique_key=command.unique_key)
        if row is not None:
            return Receipt(Verdict.DUPLICATE, row["id"], row["state"])
    row = db.row(connection, "submission.by_id", id=command.id)
    if row is not None:
        return Receipt(Verdict.DUPLICATE, row["id"], row["state"])
    # The live job that held the key ended between our insert and this look: now the key is free.
    return submit(connection, [command])[0]
