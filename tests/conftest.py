"""Real servers for every test: one stack per session; a database, a virtual host and a bucket per test."""

import itertools
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url

from infra import db, telemetry, tokens
from infra.migrate import migrate
from infra.settings import Settings
from infra.stack import Stack
from infra.tokens import Role
from tests import forks
from tests.bucket import Bucket
from tests.dots import Dots
from tests.dots import kept as kept_dots
from tests.system import PATIENCE, Launch, System
from tests.vhosts import Vhosts

TEMPLATE = "reelmill_template"
_numbers = itertools.count()

# A busy server is slow to let a test in: its own connections count for nothing that is proven.
db.CONNECT_SECONDS = int(PATIENCE)

# How long an example takes, or the making of one, says how busy the machine is.
hypothesis.settings.register_profile("reelmill", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("reelmill")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--row", action="append", default=[], help="Only tests that prove this row of the specification.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = set(config.getoption("--row"))
    if wanted:
        items[:] = [i for i in items if any(wanted & set(mark.args) for mark in i.iter_markers("row"))]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Postgres, RabbitMQ and an S3 store of this session's own."""
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def admin(stack: Stack) -> Iterator[Engine]:
    """The database server, for making databases; holds the migrated template."""
    engine = create_engine(
        stack.endpoints.database.replace("postgresql://", "postgresql+psycopg2://"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"create database {TEMPLATE}"))
    template = db.connect(_database_url(stack, TEMPLATE))
    migrate(template)
    template.dispose()
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def vhosts(stack: Stack) -> Vhosts:
    """Virtual hosts without end."""
    return Vhosts(stack)


@pytest.fixture
def vhost(vhosts: Vhosts) -> Iterator[str]:
    """A virtual host of this test's own."""
    with vhosts.one() as name:
        yield name


@pytest.fixture
def database_url(stack: Stack, admin: Engine) -> str:
    """A fresh, migrated database."""
    return new_database(stack, admin)


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh, migrated database."""
    engine = db.connect(database_url)
    event.listen(engine, "do_connect", _patiently)
    yield engine
    engine.dispose()


def _patiently(_dialect: Any, _record: Any, _given: Any, options: dict[str, Any]) -> None:
    """A test waits for a busy server. What the product itself does gives it five seconds, and comes again."""
    options["connect_timeout"] = round(PATIENCE)


@pytest.fixture
def environment(stack: Stack, database_url: str, vhost: str, tmp_path: Path) -> dict[str, str]:
    """The variables of a process that belongs to this test alone."""
    return new_environment(stack, database_url, vhost, tmp_path)


@pytest.fixture
def settings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of this test's processes, for tests that work in this process."""
    for name in [name for name in os.environ if name.startswith("REELMILL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    chosen = Settings(log_format="text")
    # Logs as the product writes them: the logging library's own tracebacks take seconds to render.
    telemetry.configure(chosen, "tests")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return chosen


@pytest.fixture
def system(environment: dict[str, str], tmp_path: Path) -> Iterator[System]:
    """The processes of this test: start what is needed by name."""
    with new_system(environment, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def dots() -> Dots:
    """A tiny DeepLabCut model, two cameras and clips with the truth about them. Learning takes half a minute, once."""
    return kept_dots(Path("tests/output/dots"))


@pytest.fixture(scope="module")
def shared(stack: Stack, admin: Engine, vhosts: Vhosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The processes of a module whose tests do not disturb each other: starting them takes seconds."""
    folder = tmp_path_factory.mktemp("shared")
    with (
        vhosts.one() as vhost,
        new_system(new_environment(stack, new_database(stack, admin), vhost, folder), folder) as running,
    ):
        yield running


def new_database(stack: Stack, admin: Engine) -> str:
    name = f"test_{next(_numbers)}_{uuid.uuid4().hex[:6]}"
    with admin.connect() as connection:
        connection.execute(text(f"create database {name} template {TEMPLATE}"))
    return _database_url(stack, name)


def new_environment(stack: Stack, database_url: str, vhost: str, folder: Path) -> dict[str, str]:
    amqp = make_url(stack.endpoints.amqp).set(database=vhost)
    scratch = folder / "scratch"
    scratch.mkdir()
    return stack.environment() | {
        "REELMILL_DATABASE_URL": database_url,
        "REELMILL_AMQP_URL": amqp.render_as_string(hide_password=False),
        "REELMILL_S3_BUCKET": f"test-{uuid.uuid4().hex[:12]}",
        "REELMILL_SCRATCH": str(scratch),
        "REELMILL_DEVICE_LOCKS": str(scratch),
        # Longer than any stall of a busy machine: an attempt is taken away where a test lapses it, not by chance.
        "REELMILL_LEASE_SECONDS": "20",
        "REELMILL_LEASE_WAIT_SECONDS": "25",
        "REELMILL_BEAT_SECONDS": "0.5",
        "REELMILL_RELAY_TICK_SECONDS": "0.1",
        "REELMILL_GRACE_SECONDS": "1",
    }


@contextmanager
def new_system(environment: dict[str, str], folder: Path, launch: Launch = forks.launch) -> Iterator[System]:
    engine = db.connect(environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        token = tokens.create(connection, "test", [Role.ADMIN])
    engine.dispose()
    # A gateway waits for seconds, and then takes requests before it has made it: a busy store may be slower.
    Bucket(environment).make()
    running = System(environment, token, folder, launch)
    try:
        yield running
    finally:
        running.stop()


def _database_url(stack: Stack, name: str) -> str:
    return make_url(stack.endpoints.database).set(database=name).render_as_string(hide_password=False)
