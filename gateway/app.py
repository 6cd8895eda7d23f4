"""Composition root of the gateway: opens the doors, hangs the routes, closes in the opposite order."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import health, problems
from gateway.auth import Callers
from gateway.console.routes import PAGES
from gateway.endpoint import Endpoint, begin
from gateway.headers import SecurityHeaders
from gateway.pressure import Pressure, Rates
from gateway.routes import ENDPOINTS
from gateway.services import Services, in_thread
from gateway.tail import Tail
from gateway.waiting import MOST_WAITERS
from infra import db
from infra.outbox import Outbox
from infra.publisher import Publisher
from infra.questions import Questions
from infra.settings import Settings
from infra.storage import Storage, Unavailable

PATIENCE_SECONDS = 5.0
LOCK_SECONDS = 5.0
"""Whoever waits for an answer is told to come again when somebody else keeps for longer what his request needs."""
RETRY_SECONDS = 1.0
LEGACY = tuple({endpoint.path.partition("{")[0].rstrip("/") for endpoint in ENDPOINTS if endpoint.legacy})

log = structlog.get_logger()


def create(settings: Settings) -> Starlette:
    """The application. It starts whatever is away: it says that it is not ready, and is as soon as it can be."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        url = settings.database_url.get_secret_value()
        engine = db.connect(url, settings.database_pool, "reelmill-gateway", lock_seconds=LOCK_SECONDS)
        storage = Storage(settings)
        preparing = asyncio.create_task(_prepare(storage), name="bucket")
        await asyncio.wait({preparing}, timeout=PATIENCE_SECONDS)
        publisher = Publisher(settings)
        await publisher.start()
        pressure = Pressure(engine, publisher, settings.backlog_limit)
        watching = asyncio.create_task(pressure.watch(), name="pressure")
        outbox = Outbox(engine, publisher, heard=pressure.heard)
        await outbox.start()
        questions = Questions(settings)
        await questions.start()
        app.state.services = Services(settings, engine, storage, outbox, publisher, pressure, questions)
        app.state.callers = Callers(engine, settings.auth_failures)
        app.state.rates = Rates(settings.requests_per_second)
        app.state.tail = Tail(engine)
        app.state.waiters = anyio.Semaphore(MOST_WAITERS)
        try:
            with health.probes(app.state.services, asyncio.get_running_loop()):
                yield
        finally:
            preparing.cancel()
            watching.cancel()
            # Entrances are closed by the server; what was accepted is committed and published before the doors close.
            await questions.stop()
            await outbox.stop()
            await publisher.stop()
            engine.dispose()

    return Gateway(
        routes=[*(_whole(endpoint.route()) for endpoint in _in_turn()), *(_whole(page.route()) for page in PAGES)],
        lifespan=lifespan,
    )


class Gateway(Starlette):
    """Without the framework's layers against errors. Each route answers its own; the router's are 404 and 405."""

    def build_middleware_stack(self) -> ASGIApp:
        """What a request goes through before its route is looked up."""
        return SecurityHeaders(self._serve)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.router(scope, receive, send)
        except HTTPException as error:  # from the router: 404, 405
            response = await _unmatched(Request(scope), error)
            await response(scope, receive, send)


def _in_turn() -> list[Endpoint]:
    """As they are asked whether an address is theirs."""
    return sorted(ENDPOINTS, key=lambda endpoint: not endpoint.often)


def _whole(route: Route) -> Route:
    """A route that no address with a line end behind it has: the framework's `$` would overlook it."""
    route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")
    return route


async def _prepare(storage: Storage) -> None:
    """Make the bucket, as soon as there is somebody to ask."""
    while True:
        try:
            return await in_thread(storage.ensure_bucket)
        except Unavailable as error:
            log.warning("no object store", action="gateway.waiting", reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)


async def _unmatched(request: Request, error: Exception) -> Response:
    """No route has this address, or none has this method there: then `Allow` names those of all routes."""
    begin(request, legacy=request.url.path.startswith(LEGACY))
    response = await problems.answer(request, error)
    here = [route for route in request.app.routes if route.path_regex.match(request.url.path)]
    if here:
        response.headers["Allow"] = ", ".join(sorted({method for route in here for method in route.methods}))
    return response
