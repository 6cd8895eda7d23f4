"""Errors as RFC 9457 problems: one exception to raise, and one table for those that come from below.

No reply holds a traceback, a path or a secret. Old surfaces get `success: false` and `message` beside the standard
fields.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from infra import collections, db, fetch_tasks, files, jobs, quotas, repeats, storage, uploads
from infra.outbox import Overloaded

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
QUOTA_SECONDS = 5


class Problem(Exception):
    """An answer that is not the one asked for: `code` for machines, `detail` for people, extras as they are."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


def invalid(error: ValidationError, where: str = "", innermost: bool = False) -> Problem:
    """A 400 that names every field that is wrong. `innermost`: without what we have put around it."""
    errors = [
        {
            "field": ".".join([*filter(None, [where]), *map(str, e["loc"][-1:] if innermost else e["loc"])]),
            "message": _plain(e["msg"]),
            "type": e["type"],
        }
        for e in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    names = ", ".join(sorted({str(e["field"]) for e in errors if e["field"]})) or "the body"
    return Problem(400, "invalid_parameter", f"Not valid: {names}. {errors[0]['message']}.", errors=errors)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _away(error: Exception) -> Problem:
    if getattr(getattr(error, "orig", None), "pgcode", None) == db.LOCK_NOT_AVAILABLE:
        return unavailable("busy", "Somebody else changes the same just now; try again shortly.")
    return unavailable("database_unavailable", "The database does not answer; try again shortly.")


def unavailable(code: str, detail: str) -> Problem:
    """A 503 that says when to come back."""
    return Problem(503, code, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def over_quota() -> Problem:
    """A 429 for whoever has as many live jobs as his token allows."""
    detail = "You have as many live jobs as your token allows."
    return Problem(429, "quota_exceeded", detail, headers={"Retry-After": str(QUOTA_SECONDS)})


def _in_use(error: Exception) -> Problem:
    assert isinstance(error, files.InUseError)
    jobs = [str(job) for job in error.jobs]
    return Problem(409, "file_in_use", "Live jobs read this file; cancel them or wait for their end.", jobs=jobs)


def _refused(error: Any) -> Problem:
    if db.constraint_of(error) == "jobs_live_key":
        return Problem(409, "key_in_use", "Another live job of this kind has the same key.")
    raise error


def _forbidden(error: Any) -> Problem:
    """A tenant's transaction has named what is not the tenant's: for him it is not there."""
    if not db.is_forbidden(error):
        raise error
    return Problem(404, "not_found", "There is no such thing, or not for you.")


def _unspeakable(error: ValueError) -> Problem:
    """A value that the driver cannot send. Any other ValueError is a mistake of ours."""
    if not db.is_unspeakable(error):
        raise error
    return Problem(400, "invalid_parameter", "A text has a character in it that cannot be stored.")


def _from_http(error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return Problem(error.status_code, code, error.detail, headers=error.headers)


TABLE: tuple[tuple[type[Exception], Callable[[Any], Problem]], ...] = (
    (Problem, lambda problem: problem),
    (ValidationError, invalid),
    (HTTPException, _from_http),
    (files.InUseError, _in_use),
    (uploads.Refusal, lambda error: Problem(error.status, error.code, error.detail, **error.extra)),
    (
        repeats.KeyReused,
        lambda _: Problem(422, "idempotency_key_reused", "This Idempotency-Key was used with another request."),
    ),
    (quotas.Full, lambda _: over_quota()),
    (jobs.InputsGoneError, lambda _: Problem(409, "inputs_gone", "A file that the job reads is not there any more.")),
    (
        collections.UnknownCollection,
        lambda _: Problem(404, "unknown_collection", "There is no such collection."),
    ),
    (fetch_tasks.UnknownTask, lambda _: Problem(404, "unknown_task", "There is no such fetch task.")),
    (db.FORBIDDEN, _forbidden),
    (db.REFUSED, _refused),
    (ValueError, _unspeakable),
    (db.UNSTORABLE, lambda _: Problem(400, "invalid_parameter", "A value is outside of what can be stored.")),
    (Overloaded, lambda _: unavailable("overloaded", "Too many requests are waiting; try again shortly.")),
    *((away, _away) for away in db.AWAY),
    (
        storage.NotThere,
        lambda _: Problem(502, "object_missing", "The stored bytes are missing: an operator must look."),
    ),
    (storage.Corrupt, lambda _: Problem(502, "object_corrupt", "The stored bytes are damaged: an operator must look.")),
    (
        storage.Unavailable,
        lambda _: unavailable("storage_unavailable", "The object store does not answer; try again."),
    ),
)


def problem_of(error: Exception) -> Problem:
    """Read the table. What is not in it is ours: logged whole, answered with nothing but the fact."""
    for kind, make in TABLE:
        if isinstance(error, kind):
            with suppress(type(error)):
                return make(error)
    log.error("request failed", action="request.failed", exc_info=error)
    return Problem(500, "internal_error", "Something broke on our side; the log has it under this trace id.")


async def answer(request: Request, error: Exception) -> Response:
    """The handler of every exception."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)  # nobody reads it; nginx's number for a client that went away
    problem = problem_of(error)
    body: dict[str, Any] = {
        "type": f"/problems/{problem.code}",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "trace_id": getattr(request.state, "trace_id", None),
        **problem.extra,
    }
    if getattr(request.state, "legacy", False):
        body |= {"success": False, "message": problem.detail}
    return JSONResponse(body, problem.status, problem.headers, media_type=MEDIA_TYPE)
