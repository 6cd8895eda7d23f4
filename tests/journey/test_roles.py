"""Every route with every role, from the route table itself: a new route cannot be forgotten here."""

import re

import httpx
import pytest
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.app import create
from gateway.console.page import Page
from gateway.doors import SIGN_IN
from gateway.endpoint import Endpoint
from gateway.routes import ENDPOINTS
from infra import db, tokens
from infra.settings import Settings
from infra.tokens import Role
from tests.furniture import Furniture, handing_out
from tests.system import System, local_client, until

#: What every answer says, whatever it is about; and what none says.
GUARDS = {"x-content-type-options": "nosniff", "x-frame-options": "DENY"}
#: A page may say to its own site where it was left, and to no other.
REFERRER = {"no-referrer", "same-origin"}
CHATTY = {"server", "x-powered-by"}
PROTECTED = [endpoint for endpoint in ENDPOINTS if endpoint.role is not None]
OPEN = [endpoint for endpoint in ENDPOINTS if endpoint.role is None]


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway", "dispatcher", REELMILL_AUTH_FAILURES="10000")
    handing_out(shared.http)
    until(lambda: shared.http.get("/readyz").is_success, "the gateway is ready")
    return shared


@pytest.fixture(scope="module")
def secrets(system: System) -> dict[Role, str]:
    engine: Engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        made = {role: tokens.create(connection, role.value, [role]) for role in Role}
    engine.dispose()
    return made


def call(
    system: System, endpoint: Endpoint, secret: str | None, basic: tuple[str, str] | None = None
) -> httpx.Response:
    """One call without a body, on ids that name nothing."""
    path = re.sub(r"{\w+(:\w+)?}", "00000000-0000-7000-8000-000000000000", endpoint.path)
    headers = {"Authorization": f"Bearer {secret}"} if secret is not None else {}
    headers |= {"Origin": "https://elsewhere.example"}
    with (
        local_client(system.url) as asking,
        asking.stream(endpoint.method, path, headers=headers, auth=basic or httpx.USE_CLIENT_DEFAULT) as answer,
    ):
        told = {name: answer.headers.get(name) for name in GUARDS}
        assert told == GUARDS, path
        assert answer.headers["referrer-policy"] in REFERRER, path
        assert not [name for name in answer.headers if name.startswith("access-control") or name in CHATTY], path
        return answer  # its head only: some streams do not end


def ruled(route: BaseRoute) -> Endpoint | Page | None:
    """The line of a table that a route comes from, which says who may call it."""
    endpoint = getattr(route, "endpoint", None)
    owner = getattr(endpoint, "__self__", endpoint)
    return owner if isinstance(owner, Endpoint | Page) else None


def unguarded(app: Starlette) -> set[str]:
    """The routes that strangers may call, and those that no table knows."""
    lines = [(str(getattr(route, "path", route)), ruled(route)) for route in app.routes]
    return {path for path, line in lines if line is None or line.role is None}


@pytest.mark.row("X-01")
def test_a_route_without_a_rule_is_noticed(settings: Settings) -> None:
    async def naked(request: Request) -> Response:
        """Nobody has said who may call it."""
        return Response()

    app = create(settings)
    assert unguarded(app) == {"/healthz", "/readyz", SIGN_IN, "/console/assets/{name}"}
    app.routes.append(Route("/v1/beside-the-table", naked))
    app.routes.append(Endpoint("GET", "/v1/for-everybody", naked, None).route())
    assert unguarded(app) >= {"/v1/beside-the-table", "/v1/for-everybody"}
    with pytest.raises(KeyError):  # whose are these? `tests.furniture` has to know
        Furniture(local_client("")).address("/v1/gadgets/{gadget}")


@pytest.mark.row("X-01", "X-02", "S2-18")
@pytest.mark.parametrize("endpoint", PROTECTED, ids=name)
def test_a_route_is_for_those_who_have_its_role(system: System, secrets: dict[Role, str], endpoint: Endpoint) -> None:
    assert endpoint.role is not None
    for wrong in (None, ("reader", "no such password"), ("worker", secrets[Role.READER])):
        stranger = call(system, endpoint, None, wrong)
        assert stranger.status_code == 401, wrong
        assert "Basic" in stranger.headers["www-authenticate"]
    assert call(system, endpoint, None, ("admin", secrets[Role.ADMIN])).status_code not in {401, 403}
    for role, secret in secrets.items():
        status = call(system, endpoint, secret).status_code
        allowed = role in {Role.ADMIN, endpoint.role} or endpoint.role is Role.READER
        assert (status == 403) is not allowed, (role, status)
        assert status < 500


@pytest.mark.parametrize("endpoint", OPEN, ids=name)
def test_an_open_route_tells_strangers_nothing_but_health(system: System, endpoint: Endpoint) -> None:
    assert endpoint.path in {"/healthz", "/readyz"}
    until(lambda: call(system, endpoint, None).is_success, f"{endpoint.path} is well")
