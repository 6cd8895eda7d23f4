"""`/v1/changes` and `/v1/events`: the facts as a feed to page through, and as streams that stay open."""

import time
from typing import Annotated
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import LARGEST_PAGE, integer, reply
from gateway.problems import Problem
from gateway.services import services, tenant_of, transact, transact_unscoped
from gateway.stream import Stream, Wanted
from gateway.tail import Tail
from gateway.waiting import LONGEST_SECONDS
from infra import events
from infra.events import Page, Span
from schemas.events import MEANT, MOST_PATTERNS, ChangePage, EventView, Pattern, expression

PATTERNS: TypeAdapter[list[Pattern]] = TypeAdapter(Annotated[list[Pattern], Field(max_length=MOST_PATTERNS)])
NOW = "now"
LONGEST_NUMBER = 18
STREAM = "text/event-stream"


async def changes(request: Request) -> Response:
    """The facts after `since`, by number, of the wanted types; `wait` holds the reply until there are some.

    Without `since` it begins with the oldest that is kept; `since=now` tells where the feed ends. 410 when retention
    has taken what comes after `since`.
    """
    types = _types(request)
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    seconds = integer(request, "wait", 0, LONGEST_SECONDS, 0)
    span = await transact_unscoped(request, events.span)
    since = _since(request.query_params.get("since"), span)
    page = await transact_unscoped(request, events.page, since, types, limit, tenant_of(request))
    if not page.rows and seconds:
        page = await _wait(request, page, types, limit, seconds)
    rows = [EventView.model_validate(dict(row)) for row in page.rows]
    return reply(ChangePage(changes=rows, next=page.next, more=page.more))


async def stream(request: Request) -> Response:
    """The facts as they happen (SSE), of the wanted types and job; with `Last-Event-ID` from there on."""
    tail(request).require_room()
    types, job_id = _types(request), _job_id(request)
    span = await transact_unscoped(request, events.span)
    given = last_event_id(request)
    since = span.head if given is None else _since(given, span)
    return Stream(tail(request), services(request).engine, since, Wanted(types, job_id, tenant=tenant_of(request)))


async def follow(request: Request, job_id: UUID) -> Response:
    """One job's facts from the first on, or from `Last-Event-ID`, until it has ended. 204 when there are no more."""
    tail(request).require_room()
    span = await transact_unscoped(request, events.span)
    given = last_event_id(request)
    since = 0 if given is None else _number(given, span)
    if await transact(request, events.job_is_told, job_id, since):
        return Response(status_code=204)  # what makes a browser stop asking
    return Stream(
        tail(request), services(request).engine, since, Wanted(job_id=job_id, until=job_id, tenant=tenant_of(request))
    )


def wants_stream(request: Request) -> bool:
    """Whether the caller would rather have a stream."""
    return STREAM in request.headers.get("accept", "")


def last_event_id(request: Request) -> str | None:
    """Where a listener was: the standard's header, or the query for those who cannot set one."""
    return request.headers.get("last-event-id") or request.query_params.get("last_event_id") or None


def tail(request: Request) -> Tail:
    """The one reader of the events in this process."""
    found: Tail = request.app.state.tail
    return found


async def _wait(request: Request, page: Page, types: str | None, limit: int, seconds: int) -> Page:
    """Look further until there is something, or the time is over. Who comes when too many wait is answered at once."""
    reader = tail(request)
    if reader.full:
        return page
    until = time.monotonic() + seconds
    with reader.listening():
        while not page.rows and not reader.closing and time.monotonic() < until:
            if not page.more:
                await reader.wait(page.next, until - time.monotonic())
            page = await transact_unscoped(request, events.page, page.next, types, limit, tenant_of(request))
    return page


def _since(given: str | None, span: Span) -> int:
    """A place in the feed. 410 when retention has taken what comes after it."""
    if given is None:
        return span.retired
    if given == NOW:
        return span.head
    since = _number(given, span)
    if since < span.retired:
        detail = f"Facts up to number {span.retired} are not kept any more; the oldest is {span.retired + 1}."
        raise Problem(410, "gone", detail, oldest=span.retired + 1, since=span.retired)
    return since


def _number(given: str, span: Span) -> int:
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER and int(given) <= span.head):
        detail = f"since is the number of a fact, at most {span.head}, the newest."
        raise Problem(400, "invalid_parameter", detail, field="since")
    return int(given)


def _types(request: Request) -> str | None:
    given = [text for text in request.query_params.get("types", "").split(",") if text]
    try:
        return expression(PATTERNS.validate_python(given))
    except ValidationError:
        detail = f"Not valid: types. At most {MOST_PATTERNS}; {MEANT}."
        raise Problem(400, "invalid_parameter", detail, field="types") from None


def _job_id(request: Request) -> UUID | None:
    given = request.query_params.get("job_id")
    try:
        return UUID(given) if given else None
    except ValueError:
        raise Problem(400, "invalid_parameter", "job_id is the id of a job.", field="job_id") from None
