"""A stack of one's own outside pytest, for the bench and the chaos run: databases, virtual hosts, systems on demand."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from infra import db
from infra.migrate import migrate
from infra.stack import Stack
from tests.conftest import TEMPLATE, new_environment, new_system
from tests.forks import popen
from tests.system import System


class Ground:
    """Real servers in a folder. In the `with` block they run; what is made on them goes with the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = Stack(folder / "stack")
        self._cleanup = ExitStack()
        self.admin: Engine

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.enter_context(self.stack)
            self.admin = create_engine(
                self.stack.endpoints.database.replace("postgresql://", "postgresql+psycopg2://"),
                isolation_level="AUTOCOMMIT",
                pool_pre_ping=True,  # whoever restarts the server asks again
            )
            started.callback(self.admin.dispose)
            with self.admin.connect() as connection:
                connection.execute(text(f"create database {TEMPLATE}"))
            template = db.connect(self._url_of(TEMPLATE), pool=1)
            migrate(template)
            template.dispose()
            self._cleanup = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def database(self, template: str = "template1") -> str:
        """A new database; returns its URL."""
        name = f"ground_{uuid.uuid4().hex[:10]}"
        with self.admin.connect() as connection:
            connection.execute(text(f"create database {name} template {template}"))
        return self._url_of(name)

    def vhost(self) -> str:
        """A new virtual host; returns its URL."""
        name = f"ground-{uuid.uuid4().hex[:10]}"
        amqp = make_url(self.stack.endpoints.amqp)
        self.stack.rabbitmqctl("add_vhost", name)
        self.stack.rabbitmqctl("set_permissions", "--vhost", name, str(amqp.username), ".*", ".*", ".*")
        return amqp.set(database=name).render_as_string(hide_password=False)

    def environment(self, database: str | None = None) -> dict[str, str]:
        """The variables of processes on a migrated database, a virtual host and a bucket of their own."""
        folder = self.folder / uuid.uuid4().hex[:10]
        folder.mkdir(parents=True)
        vhost = str(make_url(self.vhost()).database)
        return new_environment(self.stack, database or self.database(TEMPLATE), vhost, folder)

    @contextmanager
    def system(self, environment: Mapping[str, str]) -> Iterator[System]:
        """Processes on such variables: start what is needed by name."""
        folder = Path(environment["REELMILL_SCRATCH"]).parent
        with new_system(dict(environment), folder, popen) as running:
            yield running

    def _url_of(self, name: str) -> str:
        return make_url(self.stack.endpoints.database).set(database=name).render_as_string(hide_password=False)
