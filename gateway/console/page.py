"""One page of the console, and what happens around each: session, role, same origin, errors as pages."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway import auth, problems
from gateway.bodies import read_bytes
from gateway.console import rendering
from gateway.doors import to_sign_in
from gateway.endpoint import Handler, begin
from gateway.problems import Problem
from gateway.services import services
from infra import metrics
from infra.tokens import Role

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}

log = structlog.get_logger()


@dataclass(frozen=True)
class Page:
    """A route of the console. `role=None` is for those who have not signed in yet."""

    method: str
    path: str
    handler: Handler
    role: Role | None = Role.READER

    def route(self) -> Route:
        """The route with everything that stands around the handler."""
        return Route(self.path, self._serve, methods=[self.method], name=f"console {self.method} {self.path}")

    async def _serve(self, request: Request) -> Response:
        started = time.perf_counter()
        begin(request)
        try:
            response = await self._answer(request)
        except Exception as error:
            response = _refused(request, problems.problem_of(error))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        metrics.http_took(self.path, self.method, response.status_code).observe(time.perf_counter() - started)
        return response

    async def _answer(self, request: Request) -> Response:
        if b"%00" in request.scope["query_string"] or "\x00" in request.scope["path"]:
            raise Problem(400, "bad_character", "The address has a NUL in it.")
        if self.method not in auth.SAFE:
            auth.require_same_origin(request)
        if self.role is not None:
            request.state.identity = await auth.require(request, self.role)
            request.app.state.rates.take(request.state.identity.name)
        return await self.handler(request)


def back(path: str, said: str | None = None) -> Response:
    """After an action: to a page that shows what came of it."""
    joint = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{joint}said={said}" if said else path, 303)


async def form(request: Request) -> FormData:
    """The fields of a form within the limit of bodies. Raises a 413 problem."""
    request._body = await read_bytes(request, services(request).settings.body_limit)  # what form() then reads
    return await request.form(max_files=0, max_fields=2000)


def text(fields: Mapping[str, object], name: str) -> str | None:
    """A field that was filled in, trimmed."""
    value = fields.get(name)
    return value.strip() or None if isinstance(value, str) else None


def identifier(request: Request, name: str) -> UUID | None:
    """The id that a query names, if it does. Raises a 400 problem when it is none."""
    value = request.query_params.get(name)
    try:
        return UUID(value) if value else None
    except ValueError:
        raise Problem(400, "invalid_parameter", f"{name} is not an id.", field=name) from None


def _refused(request: Request, problem: Problem) -> Response:
    if problem.status == 401 and request.method in auth.SAFE:
        return to_sign_in(request)
    response = rendering.page(request, "problem.html", problem.status, problem=problem, trace=request.state.trace_id)
    response.headers.update({k: v for k, v in problem.headers.items() if k != "WWW-Authenticate"})
    return response
