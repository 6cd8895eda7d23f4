"""The peers as contestants: their workers and their producer, on a database and a virtual host of their own."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2

from tests.bench.contest import Producer, Run, measure
from tests.ground import Ground

PYTHON = Path(".bench-venv/bin/python")
WARM_UP = 200
PACKAGE = "tests.bench.peers"


@dataclass(frozen=True)
class Rival:
    """A job system. `worker` follows `python -m`; `counted` counts its finished jobs."""

    name: str
    module: str
    worker: Sequence[str]
    counted: str
    prepare: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


RIVALS = (
    Rival(
        name="Celery",
        module="celery",
        worker=(
            *("celery", "--app", f"{PACKAGE}.celery:app", "worker", "--concurrency", "2", "--loglevel", "error"),
            *("--without-gossip", "--without-mingle", "--queues", "bench"),
        ),
        counted="select count(*) from celery_taskmeta where status = 'SUCCESS'",
    ),
    Rival(
        name="Dramatiq",
        module="dramatiq",
        worker=("dramatiq", f"{PACKAGE}.dramatiq", "--processes", "1", "--threads", "8"),
        counted="select count(*) from completions",
    ),
    Rival(
        name="TaskIQ",
        module="taskiq",
        worker=("taskiq", "worker", f"{PACKAGE}.taskiq:broker", "--workers", "1", "--log-level", "WARNING"),
        counted="select count(*) from completions",
    ),
    Rival(
        name="Procrastinate",
        module="procrastinate",
        worker=("procrastinate", "--app", f"{PACKAGE}.procrastinate.app", "worker", "--concurrency", "20"),
        counted="select count(*) from procrastinate_jobs where status = 'succeeded'",
        prepare=("procrastinate", "--app", f"{PACKAGE}.procrastinate.app", "schema", "--apply"),
    ),
)


class Match:
    """A peer that runs and is warm."""

    def __init__(self, ground: Ground, rival: Rival) -> None:
        self._rival = rival
        self._ground = ground
        self._log = ground.folder / f"{rival.name.lower()}.log"
        self._database = ground.database()
        self._environment = os.environ | dict(rival.variables)
        self._environment |= {"BENCH_DATABASE_URL": self._database, "BENCH_AMQP_URL": ground.vhost()}

    def __enter__(self) -> Self:
        self._connection = psycopg2.connect(self._database)
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute("create table completions (id text primary key, finished_at timestamptz default now())")
        if self._rival.prepare:
            subprocess.run(self._command(self._rival.prepare), env=self._environment, check=True, capture_output=True)
        with self._log.open("ab") as log:
            self._worker = subprocess.Popen(
                self._command(self._rival.worker), env=self._environment, stdout=log, stderr=log
            )
        self._producer = Producer(self._command([PACKAGE, self._rival.module]), self._environment, self._log)
        self.run(WARM_UP)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close()
        self._worker.terminate()
        try:
            self._worker.wait(15)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()
        self._connection.close()

    def run(self, jobs: int) -> Run:
        """Measure once."""
        servers = self._ground.stack
        assert servers.postgres.process is not None
        assert servers.rabbitmq.process is not None
        pids = {
            "worker": self._worker.pid,
            "postgres": servers.postgres.process.popen.pid,
            "rabbitmq": servers.rabbitmq.process.popen.pid,
        }
        time.sleep(0.3)  # the end of the run before this one
        return measure(self._producer, self._done, jobs, pids)

    def _done(self) -> int:
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(self._rival.counted)
            except psycopg2.errors.UndefinedTable:  # made by its first worker
                return 0
            [(count,)] = cursor.fetchall()
            return int(count)

    @staticmethod
    def _command(arguments: Sequence[str]) -> list[str]:
        return [str(PYTHON), "-m", *arguments]
