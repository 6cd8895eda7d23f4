"""Jobs that come again and again. The relay makes each in the transaction that moves the schedule on, so it comes once.

Times that were missed while everything was down make one job, not a flood. Without `overlap`, a time at which the job
before still lives is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection

from infra import db, metrics, submission
from infra.cron import BadCronError, Cron
from infra.ids import new_id, new_traceparent
from infra.submission import Verdict
from schemas.commands import Command, Input
from schemas.registry import KINDS

BATCH = 50

log = structlog.get_logger()


class _Unmakeable(Exception):
    """There is no job this time; the message says why."""


@dataclass(frozen=True)
class Schedule:
    """What is wanted and when. `params` are complete, file references are full SHA-256s."""

    cron: Cron
    kind: str
    params: dict[str, Any]
    priority: int
    overlap: bool
    enabled: bool


def put(connection: Connection, name: str, wanted: Schedule, by: str) -> bool:
    """Make or replace a schedule. True when it is new. Raises BadCronError.

    The next time stays when it is still of the same cron: saying the same again leaves nothing out.
    """
    moment: datetime = db.rows(connection, "schedules.now")[0]["moment"]
    next_at = wanted.cron.after(moment)
    before = db.row(connection, "schedules.lock", name=name)
    if before is not None and before["enabled"] and wanted.cron == Cron(before["cron"], before["timezone"]):
        next_at = before["next_at"]
    db.run(
        connection,
        "schedules.put",
        name=name,
        cron=wanted.cron.expression,
        timezone=wanted.cron.timezone,
        kind=wanted.kind,
        params=db.document(wanted.params),
        priority=wanted.priority,
        overlap=wanted.overlap,
        enabled=wanted.enabled,
        next_at=next_at,
        by=by,
    )
    return before is None


def get(connection: Connection, name: str) -> db.Row | None:
    """One schedule."""
    return db.row(connection, "schedules.get", name=name)


def page(connection: Connection, after: str, limit: int) -> Sequence[db.Row]:
    """Schedules by name, from the one after `after` on."""
    return db.rows(connection, "schedules.page", after=after, limit=limit)


def delete(connection: Connection, name: str) -> bool:
    """Forget a schedule; jobs that it made stay. False when there is none."""
    return db.run(connection, "schedules.delete", name=name) == 1


def run_due(connection: Connection) -> bool:
    """Make the jobs whose time has come. True when there may be more."""
    due = db.rows(connection, "schedules.due", batch=BATCH)
    for row in due:
        _run(connection, row)
    return len(due) == BATCH


def _run(connection: Connection, row: db.Row) -> None:
    name = row["name"]
    try:
        next_at = Cron(row["cron"], row["timezone"]).after(row["moment"])
    except BadCronError as error:  # the world's time zones have changed under it
        db.run(connection, "schedules.stopped", name=name, error=str(error))
        log.error("a schedule stops", action="schedule.stopped", schedule=name, reason=str(error))
        return
    if row["lives"] and not row["overlap"]:
        db.run(connection, "schedules.skipped", name=name, next_at=next_at)
        log.info("the job before still lives", action="schedule.skipped", schedule=name, job_id=str(row["last_job_id"]))
        return
    try:
        with connection.begin_nested():
            job_id = _make(connection, row)
    except _Unmakeable as error:
        db.run(connection, "schedules.failed", name=name, next_at=next_at, error=str(error))
        log.warning("a schedule made no job", action="schedule.failed", schedule=name, reason=str(error))
        return
    db.run(connection, "schedules.made", name=name, next_at=next_at, job_id=job_id)
    log.info("a schedule made a job", action="schedule.made", schedule=name, job_id=str(job_id))


def _make(connection: Connection, row: db.Row) -> UUID:
    receipt = submission.submit(connection, [_command(row)])[0]
    if receipt.job_id is None:
        raise _Unmakeable("A file that the job reads is not there any more.")
    if receipt.verdict is Verdict.CREATED:
        metrics.jobs_submitted_total.labels(row["kind"], "schedule").inc()
    return receipt.job_id


def _command(row: db.Row) -> Command:
    kind = KINDS.get(row["kind"])
    if kind is None:
        raise _Unmakeable("There is no such kind any more.")
    try:
        params = kind.params.model_validate(row["params"]).model_dump(mode="json")
    except ValidationError:
        raise _Unmakeable("The parameters are not those of the kind any more.") from None
    return Command(
        id=new_id(),
        kind=kind,
        params=params,
        inputs=tuple(Input(name, file) for name, file in kind.references(params)),
        submitted_by=f"schedule:{row['name']}",
        via="schedule",
        idempotency_key=f"{row['name']}@{row['next_at'].isoformat()}",
        priority=row["priority"],
        traceparent=new_traceparent(),
        fresh=True,
    )
