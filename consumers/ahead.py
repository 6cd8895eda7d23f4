"""Run a generator in a thread of its own, a few items ahead of whoever takes them.

Bounded on purpose: a producer that is faster than its consumer waits. Nothing here may know what the items are.
"""

from collections.abc import Generator, Iterator
from queue import Empty, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
JOIN_SECONDS = 0.02


class _End:
    """The generator is exhausted, or failed with `error`."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Ahead(Generic[T]):
    """`with Ahead(generator, room) as items`: iterate `items`; leaving the block stops the thread and waits for it."""

    def __init__(self, source: Generator[T, None, None], room: int) -> None:
        self._source = source
        self._queue: Queue[T | _End] = Queue(max(1, room))
        self._stop = Event()
        self._thread = Thread(target=self._produce, name="ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        while self._thread.is_alive():
            self._make_room()
            self._thread.join(JOIN_SECONDS)

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if item.error:
            raise item.error

    def _produce(self) -> None:
        try:
            for item in self._source:
                self._queue.put(item)
                if self._stop.is_set():
                    return
            self._queue.put(_End(None))
        except BaseException as error:
            self._queue.put(_End(error))
        finally:
            self._source.close()

    def _make_room(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            return
