"""Is the gateway alive and ready, and its metrics: for callers, and for those who watch every process."""

import asyncio
import time

import prometheus_client
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway import auth
from gateway.problems import Problem
from gateway.selftest import SelfTest
from gateway.services import Services, in_thread, services, tenant_of
from infra import db, storage
from infra.probes import Probes
from infra.tokens import Role

CHECK_SECONDS = 5
FRESH_SECONDS = 1


def probes(given: Services, loop: asyncio.AbstractEventLoop) -> Probes:
    """The server on the metrics port that every process has. It finds the gateway dead when its loop is stuck."""

    def answers() -> bool:
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0, True), loop).result(CHECK_SECONDS)

    return Probes(given.settings, answers, {"database": lambda: _database(given), "storage": lambda: _storage(given)})


async def alive(_: Request) -> Response:
    """Alive: the process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Ready: the database and the object store answer. A broker that is away is reported; jobs are still accepted.

    `?deep=1`, for anybody with a token: whether a job gets done as well.
    """
    deep = request.query_params.get("deep", "0") not in {"", "0", "false"}
    if deep:
        await auth.require(request, Role.READER)
    checks = dict(await _checks_of_this_second(request))
    ok = checks["database"] and checks["storage"]
    if deep:
        checks["jobs"] = ok and await _self_test(request).passes()
        ok = checks["jobs"]
    return JSONResponse({"status": "ok" if ok else "unavailable", "checks": checks}, 200 if ok else 503)


async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process. They count for all, so who acts for a tenant does not see them."""
    if tenant_of(request):
        raise Problem(403, "forbidden", "Only those who act for no tenant may see this.")
    return Response(prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST)


def _self_test(request: Request) -> SelfTest:
    state = request.app.state
    if not hasattr(state, "self_test"):
        state.self_test = SelfTest(services(request))
    found: SelfTest = state.self_test
    return found


async def _checks_of_this_second(request: Request) -> dict[str, bool]:
    """Asked by anybody, as often as they like: the servers behind are asked once a second."""
    asked: tuple[float, dict[str, bool]] | None = getattr(request.app.state, "checks", None)
    if asked is None or time.monotonic() - asked[0] > FRESH_SECONDS:
        asked = time.monotonic(), await _checks(services(request))
        request.app.state.checks = asked
    return asked[1]


async def _checks(given: Services) -> dict[str, bool]:
    async def within(check: object) -> bool:
        try:
            return await asyncio.wait_for(in_thread(check), CHECK_SECONDS)  # type: ignore[arg-type]
        except TimeoutError:
            return False

    database, store = await asyncio.gather(within(lambda: _database(given)), within(lambda: _storage(given)))
    return {"database": database, "storage": store, "broker": given.publisher.connected}


def _database(given: Services) -> bool:
    try:
        with given.engine.connect() as connection:
            return connection.execute(text("select true")).scalar_one() is True
    except db.AWAY:
        return False


def _storage(given: Services) -> bool:
    try:
        return given.storage.ready()
    except storage.Unavailable:
        return False
