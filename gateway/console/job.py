"""One job: where it stands, what happened, what went in and what came out."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import job_id
from gateway.console import analyses, collections, page, rendering, words
from gateway.names import served_type
from gateway.problems import Problem
from gateway.services import transact
from infra import browsing, db, steps
from infra import jobs as store
from schemas.states import JobState

OUTPUTS = 60
PICTURES = 12
"""So many previews show at once; the others are unfolded."""
CHILDREN = 20


@dataclass
class Attempt:
    """One time that somebody worked on it."""

    number: int
    worker: str | None
    began: datetime
    ended: datetime | None = None
    outcome: str = "running"
    error: tuple[str, str] | None = None
    facts: list[Any] = field(default_factory=list)


async def show(request: Request) -> Response:
    """The page of a job."""
    wanted = job_id(request)
    found = await transact(request, _look, wanted)
    if found is None:
        raise Problem(404, "unknown_job", "There is no such job, or not any more.")
    job = found["job"]
    return rendering.page(
        request, "jobs/job.html", **found, curl=_curl(request, job), command=_command(job), place=_place(job)
    )


async def cancel(request: Request) -> Response:
    """Cancel it, with all that followed from it when asked so."""
    wanted = job_id(request)
    tree = page.text(await page.form(request), "tree")
    if not await transact(request, store.cancel_tree if tree else store.cancel, wanted):
        raise Problem(409, "already_ended", "The job has ended; there is nothing to cancel.")
    return page.back(f"/console/jobs/{wanted}", "cancelled")


async def retry(request: Request) -> Response:
    """Queue it again."""
    wanted = job_id(request)
    if not await transact(request, store.retry, wanted):
        raise Problem(409, "not_ended", "Only a failed or cancelled job can be retried.")
    return page.back(f"/console/jobs/{wanted}", "retried")


def _look(connection: Connection, wanted: UUID) -> dict[str, Any] | None:
    job = store.get(connection, wanted)
    if job is None:
        return None
    facts = store.timeline(connection, wanted)
    outputs = steps.outputs(connection, wanted, "", OUTPUTS + 1)
    seen = [(preview(output["content_type"]), output) for output in outputs[:OUTPUTS]]
    return {
        "job": job,
        "facts": [fact for fact in facts if not fact["type"].endswith(".progress")],
        "attempts": list(reversed(_attempts(facts))),
        "outputs": outputs[:OUTPUTS],
        "shown": [output for way in ("video", "image") for how, output in seen if how == way],
        "first": PICTURES,
        "more_outputs": len(outputs) > OUTPUTS,
        "inputs": browsing.inputs(connection, wanted),
        "children": browsing.children(connection, wanted, CHILDREN),
        "left": _left(job),
        "live": job["finished_at"] is None,
        "retryable": job["state"] in {JobState.FAILED, JobState.CANCELLED},
        "preview": preview,
    }


def preview(content_type: str | None) -> str | None:
    """How a browser can show it: `image`, `video` or not at all."""
    served = served_type(content_type or "")
    return served.partition("/")[0] if served.startswith(("image/", "video/")) else None


def _left(job: db.Row) -> float | None:
    """Seconds until its end, if it goes on as it went."""
    done = float(job["progress"])
    if job["state"] != JobState.RUNNING or done < 1:
        return None
    return (words.between(job["started_at"], None) or 0) * (100 - done) / done


def _attempts(facts: Sequence[db.Row]) -> list[Attempt]:
    attempts: list[Attempt] = []
    for fact in facts:
        data, state = fact["data"], fact["data"].get("state")
        what = fact["type"].rpartition(".")[2]
        if what == JobState.RUNNING:
            attempts.append(Attempt(data.get("attempt", 0), data.get("worker"), fact["occurred_at"]))
        elif attempts and attempts[-1].ended is None and what in {each.value for each in JobState}:
            last = attempts[-1]
            last.ended, last.outcome = fact["occurred_at"], str(state)
            if data.get("error_code") and state != JobState.SUCCEEDED:
                last.error = (data["error_code"], data.get("error_message") or "")
    return attempts


def _place(job: db.Row) -> tuple[str, str] | None:
    """The page that shows what a job of this kind is about, and what to call it."""
    if job["kind"] in analyses.FILMS:
        return "Watch it", f"/console/analyses/{job['id']}"
    if job["kind"] == collections.KIND:
        return "Its lines", f"/console/collections/{quote(job['params']['collection'], safe='')}/imports/{job['id']}"
    return ("Exports", f"/console/exports/{job['params']['classifier']}") if job["kind"] == "export.labels" else None


def _curl(request: Request, job: db.Row) -> str:
    body = orjson.dumps({"kind": job["kind"], "params": job["params"]}).decode()
    base = f"{request.url.scheme}://{request.url.netloc}"
    return (
        f'curl {base}/v1/jobs \\\n  -H "Authorization: Bearer $REELMILL_TOKEN" \\\n'
        f"  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
    )


def _command(job: db.Row) -> str:
    params = orjson.dumps(job["params"]).decode()
    return f"reelmill jobs submit {job['kind']} {shlex.quote(params)} --wait"
