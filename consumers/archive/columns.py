"""A table in the default orientation of a pandas DataFrame, of any length: `{"column": {"0": value, ...}, ...}`.

Columns come one after the other there, rows come one after the other here. So every column has a spool of its own on
disk, and the member is the spools in a row. Memory stays at a block.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import orjson

from consumers.archive.zipping import of_file

BUFFER = 256 * 1024
#: Hears how much of something is done, 0 to 1.
Told = Callable[[float], None]


class Spool(Protocol):
    """One column on disk."""

    def add(self, first: int, values: Any) -> None:
        """Add the values of rows, the number of the first of which is `first`; there is at least one."""

    def chunks(self) -> Iterator[Any]:
        """The text of all of them, `"0":1.5,"1":2`, as bytes. Ends the writing; the file goes when it has been read."""


class TextSpool:
    """Values of any kind that JSON knows, kept as text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb", BUFFER)

    def add(self, first: int, values: Sequence[Any]) -> None:
        """Write them down."""
        if first:
            self._file.write(b",")
        # orjson writes an object faster than anything here could join its parts.
        numbered = dict(zip(_numbers(first, len(values)), values, strict=True))
        self._file.write(memoryview(orjson.dumps(numbered))[1:-1])

    def chunks(self) -> Iterator[bytes]:
        """The file."""
        self._file.close()
        yield from of_file(self._path)
        self._path.unlink()


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

    def chunks(self, told: Told) -> Iterator[Any]:
        """The document, as bytes. Ends the writing."""
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
