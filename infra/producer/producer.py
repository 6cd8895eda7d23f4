"""The caller's side: send, and wait only when too much is under way. Any thread may call."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import orjson

from infra.ids import new_id
from infra.producer.courier import Courier
from infra.producer.fates import Lost, Parcel, Unsent
from schemas.registry import KINDS, Lane
from schemas.wire import LARGEST_BODY

CLOSE_SECONDS = 30.0


class Producer:
    """Publishes jobs over one connection of its own, in a thread of its own, and keeps trying until told to stop.

    `window` jobs may be unconfirmed: then `send` waits, for `timeout` seconds at most (None: for ever). What was not
    confirmed when a connection breaks is sent again over the next one, with the same id, so it is still one job.
    With `pack`, jobs of the fast lane that wait together travel in one message.
    """

    def __init__(
        self,
        url: str,
        window: int = 2000,
        pack: bool = False,
        timeout: float | None = None,
        name: str = "reelmill-producer",
    ) -> None:
        self._window = window
        self._pack = pack
        self._timeout = timeout
        self._open = 0
        self._closed = False
        self._changed = threading.Condition()
        self._courier = Courier(url, name, self._settled)
        self._courier.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(
        self,
        kind: str,
        params: dict[str, Any] | None = None,
        id: UUID | None = None,  # noqa: A002 - it is what the caller calls it
        priority: int = 0,
        traceparent: str | None = None,
    ) -> "Future[UUID]":
        """Ask for a job; the future gives its id as soon as the broker has it, or raises an Unsent error.

        Raises ValueError for what no consumer would take, TimeoutError when the window stays full, Lost once closed.
        """
        params = params or {}
        body = orjson.dumps(params)
        if len(body) > LARGEST_BODY:
            raise ValueError(f"the parameters have more than {LARGEST_BODY} bytes")
        if not 0 <= priority <= 9:
            raise ValueError("a priority is 0 to 9")
        packed = self._pack and _is_fast(kind)
        parcel = Parcel(kind, id or new_id(), params, body, priority, traceparent, packed, Future())
        with self._changed:
            if self._open >= self._window and not self._courier.is_own_thread():  # as a future's callback is
                self._await(lambda: self._open < self._window or self._closed)
            if self._closed:
                raise Lost("the producer is closed")
            self._open += 1
            self._courier.put(parcel)
        return parcel.fate

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything that was sent has a fate. Raises TimeoutError, with what holds it up."""
        with self._changed:
            self._await(lambda: self._open == 0, timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Wait for what is under way, `timeout` seconds at most, then hang up. The rest is Lost. Safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open == 0, timeout)
        self._courier.stop()

    def _await(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        seconds = self._timeout if timeout is None else timeout
        if not self._changed.wait_for(condition, seconds):
            raise TimeoutError(f"{self._open} jobs are not confirmed; the connection: {self._courier.state}")

    def _settled(self, parcels: list[Parcel], error: Unsent | None) -> None:
        """Called by the courier, in its thread."""
        for parcel in parcels:
            parcel.settle(error)
        with self._changed:
            before, self._open = self._open, self._open - len(parcels)
            # Who waits is woken when there is room for some, not for each.
            if self._open == 0 or self._open <= self._window // 2 < before or self._closed:
                self._changed.notify_all()


def _is_fast(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].lane is Lane.FAST
