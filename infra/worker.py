"""A small worker library: takes leases over HTTP, keeps them alive while it works, submits, gives the rest back.

with Worker(url, token, "segments", "me") as worker:
    for item in worker:
        download(item["key"], item["attributes"])
        worker.report(item, "completed")

Raises httpx.HTTPStatusError when it is refused. That nobody answers is no error: it is logged, and asked again.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

log = logging.getLogger("reelmill.worker")
WAIT_SECONDS = 5.0
PARTING_SECONDS = 30.0
"""How long one that is to stop goes on telling what it has done while nobody answers."""
AGAIN = frozenset({429, 503})
"""Answers that say when to come again."""
NEVER = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""What is wrong with a question itself, and will be whenever it is asked."""


class Lost(Exception):
    """The item is no longer ours: it took too long, or somebody has set it by hand."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How leases are taken: so many items at a time, for so many seconds, of this partition."""

    batch: int = 1
    ttl: float | None = None
    partition: str | None = None


class Worker:
    """Items of one collection, one at a time out of leases. Leave the `with` block to give back the rest.

    Without `forever` it ends when there is nothing to take. When a lease is over before its time, what is left of it
    is not yielded any more. Not for several threads.
    """

    def __init__(
        self, url: str, token: str, collection: str, name: str, terms: Terms = Terms(), forever: bool = False
    ) -> None:
        self._at = f"{url.rstrip('/')}/v1/collections/{quote(collection, safe='')}/leases"
        self._http = httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30)
        given = {"count": terms.batch, "worker": name, "ttl": terms.ttl, "partition": terms.partition}
        self._terms = {key: value for key, value in given.items() if value is not None}
        self._forever = forever
        self._lease: str | None = None
        self._over: str | None = None
        self._asked: str | None = None
        self._left: list[dict[str, Any]] = []
        self._stopped = threading.Event()
        self._until = float("inf")
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None
        self._answered = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._closed.set()
        if self._keeper is not None:
            self._keeper.join()
        self._give_back()
        self._http.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Items, as they are taken: `key`, `partition`, `attempt`, `attributes`."""
        while not self._stopped.is_set():
            if self._over == self._lease:
                self._left = []
            if not self._left:
                wait = self._take()
                if wait is not None:
                    if not self._forever:
                        return
                    self._stopped.wait(wait)
                    continue
            yield self._left.pop(0)

    def stop(self) -> None:
        """Yield no more. The item in hand is kept alive until it is reported, or the block is left."""
        self._until = min(self._until, time.monotonic() + PARTING_SECONDS)
        self._stopped.set()

    def report(self, item: dict[str, Any], state: str, error: str | None = None, result: Any = None) -> None:
        """Say what became of an item: completed, failed or missing. Raises Lost."""
        said = {"key": item["key"], "state": state, "error": error, "result": result}
        body = {"results": [{key: value for key, value in said.items() if value is not None}]}
        answer = self._send(f"/{self._lease}/submit", body)
        if answer.status_code in {404, 409}:
            raise Lost(answer.json()["code"])
        answer.raise_for_status()
        if answer.json()["open"] == 0:
            self._lease, self._left = None, []  # of what may be left, nothing is ours any more

    def _give_back(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._lease = self._unheard(asked)
        lease, self._lease = self._lease, None
        if lease is not None:
            self._send(f"/{lease}/release", {})

    def _take(self) -> float | None:
        """Take a lease; if there is nothing, the seconds until there may be. What was never reported goes back."""
        self._give_back()
        self._asked = str(uuid4())
        answer = self._send("", self._terms, self._asked)
        answer.raise_for_status()
        told = answer.json()
        self._lease, self._left = told["lease"], list(told["items"])
        self._asked = None
        if self._lease is None:
            return min(float(told["retry_seconds"]), WAIT_SECONDS)
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, args=(float(told["renew_seconds"]),), daemon=True)
            self._keeper.start()
        return None

    def _unheard(self, asked: str) -> str | None:
        """What somebody who was interrupted may have been given: the same request gives the same lease."""
        with suppress(httpx.TransportError):
            answer = self._http.post(self._at, json=self._terms, headers={"Idempotency-Key": asked})
            return answer.json()["lease"] if answer.is_success else None
        return None

    def _keep(self, seconds: float) -> None:
        """Extend whatever lease there is, three times in its life; one that is over is noted."""
        while not self._closed.wait(seconds):
            lease = self._lease
            if lease is not None:
                with suppress(httpx.TransportError):
                    if self._send(f"/{lease}/extend", {}).status_code in {404, 409}:
                        self._over = lease

    def _send(self, path: str, body: dict[str, Any], name: str | None = None) -> httpx.Response:
        """Ask; while nobody hands out items, again. Of one that is to stop, not for long any more."""
        key = {"Idempotency-Key": name or str(uuid4())}
        while True:
            try:
                answer = self._http.post(self._at + path, json=body, headers=key)
            except httpx.TransportError as error:
                if time.monotonic() > self._until or isinstance(error, NEVER):
                    raise
                self._miss(error)
                time.sleep(1.0)
                continue
            self._answered = True
            if answer.status_code not in AGAIN or time.monotonic() > self._until:
                return answer
            time.sleep(float(answer.headers.get("Retry-After", "1")))

    def _miss(self, error: httpx.TransportError) -> None:
        """Tell once that nobody answers, until somebody does."""
        if self._answered:
            where = self._at.partition("/v1/")[0]
            log.warning("No answer from %s (%s); asking again until there is one.", where, type(error).__name__)
        self._answered = False
