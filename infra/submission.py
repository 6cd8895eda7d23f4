"""New jobs: many commands, one transaction. The row is the outbox, so a committed job cannot be lost any more."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from schemas.commands import Command


class Verdict(StrEnum):
    """What became of one command."""

    CREATED = "created"
    DUPLICATE = "duplicate"  # the same request was made before, or a live job has the key: here is that job
    KEY_REUSED = "idempotency_key_reused"  # the key was used for another request
    ID_REUSED = "id_reused"  # another request made the job that has this id
    UNKNOWN_FILE = "unknown_file"  # an input was deleted while the request was on its way
    UNKNOWN_NEED = "unknown_dependency"  # a job that it is to wait for does not exist
    OVER_QUOTA = "quota_exceeded"  # whoever asks has as many live jobs as he may have


@dataclass(frozen=True)
class Receipt:
    """The answer to one command: `job_id` is the new job, the earlier one, or None when nothing was made."""

    verdict: Verdict
    job_id: UUID | None
    state: str | None = None
    queued_at: datetime | None = field(default=None, compare=False)
    """When a new job came to the queue: what marks it as published names this queueing."""
    created_at: datetime | None = field(default=None, compare=False)
    """When a new job was made."""


def submit(connection: Connection, commands: Sequence[Command], sending: bool = False) -> list[Receipt]:
    """Insert jobs and their inputs, and answer in the order of the commands. Runs in the caller's transaction.

    With `sending`, the caller publishes the new jobs of the fast lane as soon as this is committed: they count as
    published. A job may wait for one that stands before it among the commands.
    """
    return [receipt for part in _parts(commands) for receipt in _submit(connection, part, sending)]


def earlier(connection: Connection, command: Command) -> Receipt | None:
    """The job that was there first: by idempotency key, by id (the same message twice), or by live key."""
    row: db.Row | None = None
    if command.idempotency_key is not None:
        by = {"submitted_by": command.submitted_by, "idempotency_key": command.idempotency_key}
        row = db.row(connection, "submission.by_idempotency_key", **by)
        if row is not None and row["request_sha256"] != command.request_sha256:
            return Receipt(Verdict.KEY_REUSED, row["id"], row["state"])
    if row is None and not command.fresh:
        row = db.row(connection, "submission.by_id", id=command.id, submitted_by=command.submitted_by)
        if row is not None and row["request_sha256"] != command.request_sha256:
            return Receipt(Verdict.ID_REUSED, row["id"], row["state"])
    if row is None and command.unique_key is not None:
        by = {"unique_key": command.unique_key, "submitted_by": command.submitted_by}
        row = db.row(connection, "submission.by_live_key", kind=command.kind.name, **by)
    return Receipt(Verdict.DUPLICATE, row["id"], row["state"]) if row is not None else None


def _parts(commands: Sequence[Command]) -> Iterator[Sequence[Command]]:
    """The commands in as few parts as possible, none of which needs a job of its own that may turn out not to be made.

    A command with a key may turn out to be an earlier job, which has another id.
    """
    start, uncertain = 0, set[UUID]()
    for n, command in enumerate(commands):
        if not uncertain.isdisjoint(command.after):
            yield commands[start:n]
            start, uncertain = n, set()
        if command.idempotency_key is not None or command.unique_key is not None:
            uncertain.add(command.id)
    yield commands[start:]


def _submit(connection: Connection, commands: Sequence[Command], sending: bool) -> list[Receipt]:
    refused = _without_inputs(connection, commands)
    refused |= _in_vain(connection, commands, refused)
    first: dict[UUID, int] = {}  # of several with one id, the first counts
    for n, command in enumerate(commands):
        if n not in refused:
            first.setdefault(command.id, n)
    created, moment = _insert(connection, [commands[n] for n in first.values()], sending) if first else (set(), None)
    receipts = []
    for n, command in enumerate(commands):
        if n in refused:
            receipts.append(Receipt(refused[n], None))
        elif command.id in created and first[command.id] == n:
            receipts.append(_made(command, moment))
        else:
            # Without an earlier one, the live job that held the key ended between our insert and this look.
            receipts.append(earlier(connection, command) or submit(connection, [command], sending)[0])
    return receipts


def _without_inputs(connection: Connection, commands: Sequence[Command]) -> dict[int, Verdict]:
    """The commands, by their place, that read a file which is not there any more."""
    wanted = sorted({i.sha256 for command in commands for i in command.inputs})
    if not wanted:
        return {}
    present = {row["sha256"] for row in db.rows(connection, "submission.lock_inputs", hashes=wanted)}
    return {
        n: Verdict.UNKNOWN_FILE
        for n, command in enumerate(commands)
        if not all(i.sha256 in present for i in command.inputs)
    }


def _in_vain(connection: Connection, commands: Sequence[Command], refused: Container[int]) -> dict[int, Verdict]:
    """The commands, by their place, that wait for a job which does not exist, or which is itself refused."""
    needed = sorted({need for command in commands for need in command.after})
    if not needed:
        return {}
    known = {row["id"] for row in db.rows(connection, "submission.lock_needs", ids=needed)}
    vain: dict[int, Verdict] = {}
    for n, command in enumerate(commands):
        if not known.issuperset(command.after):
            vain[n] = Verdict.UNKNOWN_NEED
        elif n not in refused:
            known.add(command.id)
    return vain


def _insert(connection: Connection, commands: Sequence[Command], sending: bool) -> tuple[set[UUID], datetime]:
    """The ids of the new jobs, and the time at which they were made."""
    rows = db.document([_document(command) for command in commands])
    [made] = db.rows(connection, "submission.insert", jobs=rows, number=len(commands), sending=sending)
    created = {c.id for c in commands} if made["only"] is None else set(made["only"])
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
    needs = [(c.id, need) for c in commands if c.id in created for need in dict.fromkeys(c.after)]
    if needs:
        db.run(
            connection,
            "submission.insert_dependencies",
            job_id=[job_id for job_id, _ in needs],
            needs_id=[need for _, need in needs],
        )
    return created, made["moment"]


def _document(command: Command) -> dict[str, Any]:
    kind = command.kind
    asked_again = not command.fresh or command.idempotency_key is not None
    return {
        "id": command.id,
        "kind": kind.name,
        "consumer": kind.consumer,
        "params": command.params,
        "version": kind.version,
        "priority": command.priority,
        "unique_key": command.unique_key,
        "idempotency_key": command.idempotency_key,
        "request_sha256": command.request_sha256 if asked_again else None,
        "submitted_by": command.submitted_by,
        "via": command.via,
        "parent_id": command.parent_id,
        "traceparent": command.traceparent,
        "max_attempts": kind.limits.attempts,
        "run_at": command.run_at,
        "lane": kind.lane,
        "concurrency_key": command.concurrency_key,
        "waiting": bool(command.after),
        "after_failure": command.after_failure,
    }


def _made(command: Command, moment: datetime | None) -> Receipt:
    """The receipt of a job made at `moment`; the database has told its state by the same rule."""
    assert moment is not None
    later = bool(command.after) or (command.run_at is not None and command.run_at > moment)
    state, queued_at = ("scheduled", None) if later else ("queued", moment)
    return Receipt(Verdict.CREATED, command.id, state, queued_at, moment)
