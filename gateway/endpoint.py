"""One line of the route table, and what happens around every request: trace, role, log, problem."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway import auth, doors, problems
from infra import metrics
from infra.ids import new_traceparent
from infra.tokens import Role

PAGE = "text/html"
Handler = Callable[[Request], Awaitable[Response]]
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class Endpoint:
    """A route: who may call it, what goes in and what comes out. `role=None` means open to everybody.

    `body` and `reply` are models, or media types for bytes. Old surfaces (`legacy`) get `success` and `message` in
    their problems.
    """

    method: str
    path: str
    handler: Handler
    role: Role | None
    reply: type[BaseModel] | str | None = None
    status: int = 200
    body: type[BaseModel] | str | None = None
    query: tuple[str, ...] = ()
    legacy: bool = False
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    """Other successes, by status."""
    media: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """Other media types of the body: of NDJSON and of batches, the model of one item."""
    line: type[BaseModel] | None = None
    """What is answered to each item of such a body."""
    often: bool = False
    """Called all day long: looked up before the others, each of which costs as much as a part of the work."""
    key: Callable[[Request], Awaitable[str | None]] | None = None
    """Where a token may be, beside the header: in a form of an old surface."""

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]

    def route(self) -> Route:
        """The route with everything that stands around the handler."""
        return Route(self.path, self, methods=[self.method], name=f"{self.method} {self.path}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application: every error is answered in here, so the framework need not watch over it as well."""
        request = Request(scope, receive, send)
        response = await self._serve(request)
        await response(scope, receive, send)

    async def _serve(self, request: Request) -> Response:
        started = time.perf_counter()
        traceparent = begin(request, self.legacy)
        try:
            if b"%00" in request.scope["query_string"] or "\x00" in request.scope["path"]:
                raise problems.Problem(400, "bad_character", "The address has a NUL in it.")
            if self.role is not None:
                key = (
                    await self.key(request) if self.key is not None and "authorization" not in request.headers else None
                )
                request.state.identity = identity = await auth.require(request, self.role, key)
                request.app.state.rates.take(identity.name)
            response = await self.handler(request)
        except Exception as error:
            response = await self._refused(request, error)
        response.raw_headers.append((b"traceparent", traceparent.encode()))
        metrics.http_took(self.path, self.method, response.status_code).observe(time.perf_counter() - started)
        return response

    async def _refused(self, request: Request, error: Exception) -> Response:
        stranger = isinstance(error, problems.Problem) and error.status == 401
        if stranger and self.reply == PAGE and doors.is_opened(request):
            return doors.to_sign_in(request)
        return await problems.answer(request, error)


def begin(request: Request, legacy: bool = False) -> str:
    """Give the request its trace: the caller's, or a fresh one. Returns it."""
    given = request.headers.get("traceparent", "")
    traceparent = given if TRACEPARENT.fullmatch(given) else new_traceparent()
    state = request.state
    state.traceparent = traceparent
    state.trace_id = traceparent.split("-")[1]
    state.legacy = legacy
    structlog.contextvars.bind_contextvars(trace_id=state.trace_id)
    return traceparent
