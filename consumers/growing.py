"""Files that are read while they are written: by one writer, and by readers that are each at a place of their own.

The writer never waits for a reader, so what it has open elsewhere, a transaction for one, ends as soon as it can. A
reader at the end waits for more.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Condition
from typing import Any, BinaryIO

BUFFER = 1024 * 1024


class Growing:
    """A file that grows. What goes into `sink` is seen by readers a buffer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = Condition()
        self._size = 0
        self._ended = False
        self._error: BaseException | None = None
        self.sink: BinaryIO = io.BufferedWriter(_Sink(path, self._grown), BUFFER)

    def end(self, error: BaseException | None = None) -> None:
        """No more comes: that was all, or the writer failed, and so do the readers. The first call counts."""
        if self._ended:
            return
        try:
            self.sink.close()
        except OSError as full:
            self._end(error or full)
            if error is None:
                raise
        self._end(error)

    def open(self) -> io.BufferedReader:
        """Read it from its beginning. Reading waits for the writer and raises what the writer failed with."""
        return io.BufferedReader(_Source(self.path, self._beyond), BUFFER)

    def chunks(self) -> Iterator[bytes]:
        """All of it, in blocks; then the file goes."""
        with self.open() as source:
            while block := source.read(BUFFER):
                yield block
        self.path.unlink()

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def _grown(self, size: int) -> None:
        with self._changed:
            self._size += size
            self._changed.notify_all()

    def _beyond(self, place: int) -> int:
        """How many bytes there are behind a place, as soon as there are any; 0 at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._size > place)
            if self._error is not None:
                raise self._error
            return self._size - place


class _Sink(io.FileIO):
    def __init__(self, path: Path, grown: Callable[[int], None]) -> None:
        super().__init__(path, "wb")
        self._grown = grown

    def write(self, data: Any) -> int:
        size = super().write(data)
        self._grown(size)
        return size


class _Source(io.FileIO):
    def __init__(self, path: Path, beyond: Callable[[int], int]) -> None:
        super().__init__(path, "rb")
        self._beyond = beyond
        self._place = 0

    def readinto(self, into: Any) -> int:
        size = min(len(into), self._beyond(self._place))
        done = super().readinto(memoryview(into)[:size]) if size else 0
        self._place += done
        return done
