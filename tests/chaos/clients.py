"""Clients that do not give up: what got no clear answer is asked for again, with the same id or idempotency key."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import httpx
import orjson
import pika
from pika.exceptions import AMQPError

from infra.topology import JOBS
from tests.chaos.demand import Wanted
from tests.system import local_client

T = TypeVar("T")
PATIENCE = 180.0
PAUSE = 0.2
REQUEST_SECONDS = 20.0


class Refused(AssertionError):
    """A door said no for good to a job that is sound."""


class Later(Exception):
    """A door asked for patience, or did not answer."""


class Books:
    """What was accepted: the job's id by the number of what was wanted. Shared by all clients."""

    def __init__(self) -> None:
        self.accepted: dict[int, UUID] = {}
        self.repeats: Counter[str] = Counter()
        self.uploaded: set[str] = set()
        self.failures: list[BaseException] = []
        self._lock = threading.Lock()

    def accept(self, wanted: Wanted, job_id: UUID | str) -> None:
        """A door took it."""
        with self._lock:
            self.accepted[wanted.number] = UUID(str(job_id))

    def repeat(self, door: str, reason: str) -> None:
        """Something is asked for again."""
        with self._lock:
            self.repeats[f"{door}: {reason}"] += 1


class Client:
    """One client, for one thread."""

    def __init__(self, url: str, token: str, amqp_url: str, books: Books) -> None:
        self._http = local_client(url, token, timeout=REQUEST_SECONDS)
        self._amqp = pika.URLParameters(amqp_url)
        self._amqp.socket_timeout = self._amqp.blocked_connection_timeout = 10
        self._channel: Any = None
        self._books = books
        self._doors: dict[str, Callable[[Sequence[Wanted]], None]] = {
            "http": self._by_http,
            "keyed": self._by_key,
            "ndjson": self._by_ndjson,
            "amqp": self._by_amqp,
            "packed": self._by_packed,
        }

    def ask(self, door: str, jobs: Sequence[Wanted]) -> None:
        """Ask until every one of these is accepted. Raises Refused."""
        jobs = [self._with_file(wanted) for wanted in jobs]
        self._insist(door, lambda: self._doors[door](jobs))

    def close(self) -> None:
        """Hang up."""
        self._http.close()
        self._hang_up()

    def _insist(self, door: str, attempt: Callable[[], T]) -> T:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return attempt()
            except (httpx.TransportError, AMQPError, OSError, Later) as error:
                reason = str(error) if isinstance(error, Later) else type(error).__name__
                self._books.repeat(door, reason)
                if isinstance(error, AMQPError | OSError):
                    self._hang_up()
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE * random.uniform(0.5, 1.5))

    def _with_file(self, wanted: Wanted) -> Wanted:
        """With an input of its own, uploaded now."""
        if not wanted.upload:
            return wanted
        content = f"the input of number {wanted.number}\n".encode()
        answer = self._insist(
            "upload", lambda: _checked(self._http.post("/v1/files", params={"name": "own.txt"}, content=content))
        )
        file = str(answer.json()["sha256"])
        self._books.uploaded.add(file)
        return Wanted(wanted.number, wanted.id, wanted.kind, wanted.params | {"file": file}, wanted.door)

    def _by_http(self, jobs: Sequence[Wanted]) -> None:
        for wanted in self._open(jobs):
            body = {"id": str(wanted.id), "kind": wanted.kind, "params": wanted.params}
            self._took(wanted, _checked(self._http.post("/v1/jobs", json=body)).json()["id"])

    def _by_key(self, jobs: Sequence[Wanted]) -> None:
        for wanted in self._open(jobs):
            body = {"kind": wanted.kind, "params": wanted.params}
            headers = {"Idempotency-Key": f"number-{wanted.number}"}
            answer = _checked(self._http.post("/v1/jobs", json=body, headers=headers))
            self._books.accept(wanted, answer.json()["id"])

    def _by_ndjson(self, jobs: Sequence[Wanted]) -> None:
        asked = self._open(jobs)
        lines = [orjson.dumps({"id": str(w.id), "kind": w.kind, "params": w.params}) for w in asked]
        headers = {"Content-Type": "application/x-ndjson"}
        answer = _checked(self._http.post("/v1/jobs", content=b"\n".join(lines), headers=headers))
        outcomes = [orjson.loads(line) for line in answer.content.splitlines()]
        for wanted, outcome in zip(asked, outcomes, strict=True):
            if outcome["status"] != "refused":
                self._took(wanted, outcome["id"])
        refused = [outcome["error"]["code"] for outcome in outcomes if outcome["status"] == "refused"]
        if refused:
            raise Later(f"lines refused: {refused[0]}")

    def _by_amqp(self, jobs: Sequence[Wanted]) -> None:
        for wanted in self._open(jobs):
            self._publish(wanted.kind, orjson.dumps(wanted.params), message_id=str(wanted.id))
            self._books.accept(wanted, wanted.id)

    def _by_packed(self, jobs: Sequence[Wanted]) -> None:
        asked = self._open(jobs)
        lines = [orjson.dumps({"id": str(wanted.id), "params": wanted.params}) for wanted in asked]
        self._publish(asked[0].kind, b"\n".join(lines), content_type="application/x-ndjson")
        for wanted in asked:
            self._books.accept(wanted, wanted.id)

    def _publish(self, key: str, body: bytes, **properties: Any) -> None:
        if self._channel is None:
            self._channel = pika.BlockingConnection(self._amqp).channel()
            self._channel.confirm_delivery()
        # Without `mandatory`: an unroutable message is parked, which the invariants would show.
        self._channel.basic_publish(JOBS, key, body, pika.BasicProperties(delivery_mode=2, **properties))

    def _hang_up(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            try:
                channel.connection.close()
            except (AMQPError, OSError):
                return

    def _open(self, jobs: Sequence[Wanted]) -> list[Wanted]:
        return [wanted for wanted in jobs if wanted.number not in self._books.accepted]

    def _took(self, wanted: Wanted, job_id: str) -> None:
        if job_id != str(wanted.id):
            raise Refused(f"number {wanted.number} asked for the id {wanted.id} and got {job_id}")
        self._books.accept(wanted, job_id)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Later(f"{answer.status_code} {_code_of(answer)}")
    raise Refused(f"{answer.status_code}: {answer.text}")


def _code_of(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("code"))
    except ValueError:
        return ""
