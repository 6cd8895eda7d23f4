"""Every route with every role, from the route table itself: a new route cannot be forgotten here."""

import re

import httpx
import pytest
from sqlalchemy import Engine

from gateway.endpoint import Endpoint
from gateway.routes import ENDPOINTS
from infra import db, tokens
from infra.tokens import Role
from tests.system import System

PROTECTED = [endpoint for endpoint in ENDPOINTS if endpoint.role is not None]
OPEN = [endpoint for endpoint in ENDPOINTS if endpoint.role is None]


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway", "dispatcher", REELMILL_AUTH_FAILURES="10000")
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
    path = re.sub(r"{\w+(:path)?}", "00000000-0000-7000-8000-000000000000", endpoint.path)
    headers = {"Authorization": f"Bearer {secret}"} if secret is not None else {}
    with httpx.stream(endpoint.method, system.url + path, headers=headers, auth=basic, timeout=30) as answer:
        return answer  # its head only: some streams do not end


@pytest.mark.row("S2-18")
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
    assert call(system, endpoint, None).is_success
