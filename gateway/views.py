"""A job as callers see it: from its row, or, before anybody has read that back, from what was just committed."""

from typing import Any

import orjson
from starlette.responses import Response

from infra import db
from infra.submission import Receipt
from schemas.commands import Command
from schemas.jobs import JobView


def of_row(row: db.Row) -> JobView:
    """The job in a row of `jobs.get`."""
    error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
    return JobView.model_validate(
        dict(row) | {"key": row["unique_key"], "error": error, "links": _links(str(row["id"]))}
    )


def of_new(command: Command, receipt: Receipt) -> dict[str, Any]:
    """The job that a command has just made: the same as a JobView of its row, without a look at it."""
    return {
        "id": command.id,
        "kind": command.kind.name,
        "state": receipt.state,
        "progress": 0.0,
        "attempt": 0,
        "max_attempts": command.kind.limits.attempts,
        "submitted_by": command.submitted_by,
        "run_at": command.run_at or receipt.created_at,
        "created_at": receipt.created_at,
        "started_at": None,
        "finished_at": None,
        "params": command.params,
        "priority": command.priority,
        "key": command.unique_key,
        "concurrency_key": command.concurrency_key,
        "held": None,
        "waiting": bool(command.after),
        "via": command.via,
        "parent_id": command.parent_id,
        "traceparent": command.traceparent,
        "worker": None,
        "inputs": [{"param": i.param, "sha256": i.sha256} for i in command.inputs],
        "result": None,
        "error": None,
        "cancel_requested_at": None,
        "links": _links(str(command.id)),
    }


def reply_new(command: Command, receipt: Receipt, status: int, headers: dict[str, str]) -> Response:
    """A new job as JSON."""
    body = orjson.dumps(of_new(command, receipt), option=orjson.OPT_UTC_Z)
    return Response(body, status, headers, media_type="application/json")


def _links(job_id: str) -> dict[str, str]:
    here = f"/v1/jobs/{job_id}"
    return {"self": here, "events": f"{here}/events", "outputs": f"{here}/outputs"}
