"""A table in the default orientation of a pandas DataFrame, of any length: `{"column": {"0": value, ...}, ...}`.

Columns come one after the other there, rows come one after the other here. So every column has a spool of its own on
disk, and the member is the spools in a row. Memory stays at a block.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import orjson

from consumers.growing import Growing

#: Hears how much of something is done, 0 to 1.
Told = Callable[[float], None]


class Spool(Protocol):
    """One column on disk. It may be read while it is written."""

    def add(self, first: int, values: Any) -> None:
        """Add the values of rows, the number of the first of which is `first`; there is at least one."""

    def end(self, error: BaseException | None = None) -> None:
        """No more comes; with an error, reading fails with it."""

    def chunks(self) -> Iterator[Any]:
        """The text of all of them, `"0":1.5,"1":2`, as bytes; the file goes when it has been read."""


class TextSpool:
    """Values of any kind that JSON knows, kept as text."""

    def __init__(self, path: Path) -> None:
        self._file = Growing(path)
        self.end = self._file.end
        self.chunks = self._file.chunks

    def add(self, first: int, values: Sequence[Any]) -> None:
        """Write them down."""
        if first:
            self._file.sink.write(b",")
        # orjson writes an object faster than anything here could join its parts.
        numbered = dict(zip(_numbers(first, len(values)), values, strict=True))
        self._file.sink.write(memoryview(orjson.dumps(numbered))[1:-1])


class ColumnSpools:
    """The columns of one table, by name."""

    def __init__(self, spools: Mapping[str, Spool]) -> None:
        self._spools = spools
        self._rows = 0

    def add(self, block: Mapping[str, Any]) -> None:
        """Add rows, by column; there is at least one."""
        for column, values in block.items():
            self._spools[column].add(self._rows, values)
        self._rows += len(next(iter(block.values())))

    def end(self, error: BaseException | None = None) -> None:
        """No more rows come."""
        for spool in self._spools.values():
            spool.end(error)

    def chunks(self, told: Told) -> Iterator[Any]:
        """The document, as bytes. A column is waited for."""
        head = b"{"
        for number, (column, spool) in enumerate(self._spools.items(), 1):
            yield head + orjson.dumps(column) + b":{"
            yield from spool.chunks()
            told(number / len(self._spools))
            head = b"},"
        yield b"}}"


@lru_cache(maxsize=1)
def _numbers(first: int, rows: int) -> list[str]:
    """The columns of a block share them."""
    return [str(n) for n in range(first, first + rows)]
