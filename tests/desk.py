"""A test's own hands below the front door: rows made directly, messages by plain pika, objects put in the store."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pika
from sqlalchemy import Engine, text

from infra import claims, db, files, jobs, steps, submission
from infra.objects import Stored
from infra.settings import Settings
from infra.steps import StoredObject
from infra.storage import Storage, upload_key
from infra.topology import DEAD, JOBS
from schemas.commands import Command
from tests.broker import parameters, publishing
from tests.makers import new_command
from tests.system import PATIENCE, until


@dataclass(frozen=True)
class Parked:
    """A message in the dead queue."""

    body: bytes
    headers: dict[str, Any]

    @property
    def reason(self) -> str:
        """Why it is there."""
        return str(self.headers.get("reelmill-reason"))


def distinct(parked: Iterable[Parked]) -> list[Parked]:
    """Each message once: one whose confirmation comes late is parked again, under another number."""
    return list({(each.reason, each.body): each for each in parked}.values())


class Desk:
    """One test's database, virtual host and bucket, by hand."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.engine = engine
        self.storage = Storage(settings)
        self.storage.ensure_bucket()
        self._amqp_url = settings.amqp_url.get_secret_value()
        self._parameters = parameters(self._amqp_url)

    def file(self, content: bytes = b"hello") -> str:
        """An uploaded file; returns its SHA-256."""
        made: Stored = self.storage.put_bytes(upload_key(), content, "text/plain")
        with self.engine.begin() as connection:
            files.add(connection, StoredObject(name="a.txt", content_type="text/plain", **vars(made)), "test")
        return made.sha256

    def sleep(self, seconds: int, file: str | None = None, **terms: Any) -> UUID:
        """A queued job that sleeps, and its message; returns its id."""
        command = new_command(file or self.file(), **terms)
        command.params["time"] = seconds
        self.commit(command)
        self.wake(command.id)
        return command.id

    def commit(self, command: Command) -> None:
        """Write a job's row; nobody is told."""
        with self.engine.begin() as connection:
            submission.submit(connection, [command])

    def wake(self, job_id: UUID) -> None:
        """Publish a job's message, as the gateway and the relay do."""
        row = self.job(job_id)
        self.publish(row["kind"], orjson.dumps(row["params"]), message_id=str(job_id), type=row["kind"])

    def publish(self, key: str, body: bytes, exchange: str = JOBS, **properties: Any) -> None:
        """Publish as a foreign producer does, confirmed."""
        with publishing(self._amqp_url) as channel:
            channel.basic_publish(exchange, key, body, pika.BasicProperties(delivery_mode=2, **properties))

    def depth(self, queue: str) -> int:
        """Messages that wait in a queue. Of a busy quorum queue the broker may say 0."""
        with pika.BlockingConnection(self._parameters) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).method.message_count)

    def delete_queue(self, queue: str) -> None:
        """Take a queue away from its consumers."""
        with pika.BlockingConnection(self._parameters) as connection:
            connection.channel().queue_delete(queue)

    def parked(self) -> list[Parked]:
        """Take what lies in the dead queue."""
        found = []
        with pika.BlockingConnection(self._parameters) as connection:
            channel = connection.channel()
            while (got := channel.basic_get(DEAD, auto_ack=True))[0] is not None:
                found.append(Parked(got[2], dict(got[1].headers or {})))
        return found

    def job(self, job_id: UUID) -> dict[str, Any]:
        """A job's row."""
        row = self._row(job_id)
        assert row is not None, f"there is no job {job_id}"
        return row

    def jobs(self) -> list[dict[str, Any]]:
        """Every job's row, newest first."""
        with self.engine.begin() as connection:
            return [dict(row) for row in jobs.page(connection, None, None, None, 1000)]

    def until(self, job_id: UUID, *states: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until a job is in one of these states."""

        def reached() -> dict[str, Any] | None:
            row = self._row(job_id)
            return row if row is not None and row["state"] in states else None

        return until(reached, f"job {job_id} is {' or '.join(states)}", patience)

    def until_started(self, job_id: UUID) -> dict[str, Any]:
        """Wait until the work itself has begun, and has said so."""
        return until(lambda: self._with_progress(job_id), f"job {job_id} makes progress")

    def attempts(self, job_id: UUID) -> int:
        """How often a job was claimed, over its whole life."""
        with self.engine.begin() as connection:
            facts = jobs.timeline(connection, job_id)
        return sum(fact["type"].endswith(".running") for fact in facts)

    def outputs(self, job_id: UUID) -> dict[str, bytes]:
        """What a job shows as its outputs: bytes by name, each as its hash says."""
        with self.engine.begin() as connection:
            return {row["name"]: self.content(row["sha256"]) for row in steps.outputs(connection, job_id, "", 1000)}

    def content(self, sha256: str) -> bytes:
        """The bytes that a row names."""
        with self.engine.begin() as connection:
            key = connection.execute(
                text("select object_key from blobs where sha256 = :sha256"), {"sha256": sha256}
            ).scalar_one()
        with self.storage.open(key) as chunks:
            return b"".join(chunks)

    def cancel(self, job_id: UUID) -> None:
        """Ask for a job's end."""
        with self.engine.begin() as connection:
            assert jobs.cancel(connection, job_id)

    def rescue(self, job_id: UUID) -> None:
        """Let the claim be expired, take it away as the leader does, and publish the job again."""
        expired = text("update jobs set lease_until = now() - interval '1 s' where id = :id and state = 'running'")

        def rescued() -> bool:
            with self.engine.begin() as connection:
                connection.execute(expired, {"id": job_id})
                return bool(claims.rescue(connection, 100))

        until(rescued, "the claim is taken away")
        self.wake(job_id)

    def promote(self, job_id: UUID) -> None:
        """Make a retry due at once, as the leader does when its time has come."""
        with self.engine.begin() as connection:
            connection.execute(text("update jobs set run_at = now() where id = :id"), {"id": job_id})
            db.run(connection, "outbox.promote", batch=100)
        self.wake(job_id)

    def _row(self, job_id: UUID) -> dict[str, Any] | None:
        with self.engine.begin() as connection:
            row = jobs.get(connection, job_id)
        return dict(row) if row is not None else None

    def _with_progress(self, job_id: UUID) -> dict[str, Any] | None:
        row = self.job(job_id)
        return row if row["state"] == "running" and row["progress"] > 0 else None
