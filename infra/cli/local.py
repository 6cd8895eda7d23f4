"""The whole system on this machine: servers, schema, token, and one process each of everything, watched over."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from infra import db, tokens
from infra.migrate import migrate
from infra.stack import Stack
from infra.stack.endpoints import Endpoints
from infra.stack.errors import StackError
from infra.stack.ports import HOST, Port
from infra.stack.processes import Process, Program
from infra.tokens import Role

COMMANDS = {
    "gateway": ("-m", "gateway"),
    "relay": ("-m", "infra.relay"),
    "splitter": ("-m", "consumers", "splitter"),
    "analyzer": ("-m", "consumers", "analyzer"),
    "pose": ("-m", "consumers", "pose"),
    "dispatcher": ("-m", "consumers", "dispatcher"),
    "keeper": ("-m", "consumers", "keeper"),
    "exporter": ("-m", "consumers", "exporter"),
}
READY_SECONDS = 300.0


class Local:
    """Everything of one home. Leaving the `with` block stops it in order: entrances first, servers last."""

    def __init__(self, home: Path, said: Callable[[str], None]) -> None:
        self._stack = Stack(home)
        self._said = said
        self._ports: dict[str, int] = {}
        self._processes: dict[str, Process] = {}
        self.endpoints: Endpoints

    def __enter__(self) -> Self:
        started = time.perf_counter()
        servers = self._stack.start()
        try:
            self._said(f"Postgres, RabbitMQ and S3 are up ({time.perf_counter() - started:.1f} s)")
            token = _prepare(servers.database)
            ports = self._stack.ports
            self._ports = {"http": ports[Port.HTTP]} | dict(zip(COMMANDS, ports.metrics, strict=False))
            for name in COMMANDS:
                self._spawn(name)
            self._await_ready()
            metrics = {name: f"http://{HOST}:{self._ports[name]}/metrics" for name in COMMANDS}
            self.endpoints = servers.with_application(f"http://{HOST}:{self._ports['http']}", token, metrics)
            self.endpoints.write(self._stack.home)
        except BaseException:
            self._stop()
            raise
        self._said(f"{', '.join(COMMANDS)} are up ({time.perf_counter() - started:.1f} s)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def mend(self) -> None:
        """Start again what has ended by itself."""
        for name, process in list(self._processes.items()):
            if not process.running():
                self._said(f"{name} ended with {process.exit_code()}; starting it again. Its log: {process.log}")
                self._spawn(name)

    def _spawn(self, name: str) -> None:
        environment = os.environ | self._stack.environment()
        environment |= {
            "REELMILL_HTTP_HOST": HOST,
            "REELMILL_HTTP_PORT": str(self._ports["http"]),
            "REELMILL_METRICS_PORT": str(self._ports[name]),
        }
        program = Program(name=name, argv=(sys.executable, *COMMANDS[name]), env=environment, grace=30)
        self._processes[name] = self._stack.spawn(program)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        for name, process in self._processes.items():
            while not _ready(self._ports[name]):
                if not process.running() or time.monotonic() > deadline:
                    raise StackError(f"{name} does not get ready; the end of {process.log}:\n{process.tail()}")
                time.sleep(0.05)

    def _stop(self) -> None:
        for name in COMMANDS:
            process = self._processes.get(name)
            if process is not None:
                process.stop()
        self._stack.stop()


def _prepare(database: str) -> str:
    """Bring the schema up to date and make this start's token."""
    engine = db.connect(database, pool=1)
    try:
        migrate(engine)
        with engine.begin() as connection:
            return tokens.create(connection, "local", [Role.ADMIN])
    finally:
        engine.dispose()


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://{HOST}:{port}/readyz", timeout=2).is_success
    except httpx.HTTPError:
        return False
