"""A table in the default orientation of a pandas DataFrame, of any length: `{"column": {"0": value, ...}, ...}`.

Columns come one after the other there, rows come one after the other here. So every column has a spool of its own on
disk, and the member is the spools in a row. Memory stays at a block.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from consumers.archive.zipping import of_file

BUFFER = 256 * 1024

#: From the number of the first row and rows by column to each column's text: `"0":1.5,"1":2,`, with the last comma.
Render = Callable[[int, Mapping[str, Any]], Iterable[tuple[str, Any]]]


def plain(first: int, block: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, bytes]]:
    """The text of any values that JSON knows."""
    rows = len(next(iter(block.values())))
    numbers = [str(n) for n in range(first, first + rows)]
    for column, values in block.items():
        # orjson writes an object faster than anything here could join its parts.
        yield column, orjson.dumps(dict(zip(numbers, values, strict=True)))[1:-1] + b","


class ColumnSpools:
    """The columns of one table, in files below `folder`."""

    def __init__(self, folder: Path, columns: Sequence[str], render: Render = plain) -> None:
        folder.mkdir()
        self._render = render
        self._paths = {column: folder / f"{n}.column" for n, column in enumerate(columns)}
        self._files: dict[str, BinaryIO] = {c: path.open("wb", BUFFER) for c, path in self._paths.items()}
        self._rows = 0

    def add(self, block: Mapping[str, Any]) -> None:
        """Add rows, by column; there is at least one."""
        for column, text in self._render(self._rows, block):
            self._files[column].write(text)
        self._rows += len(next(iter(block.values())))

    def chunks(self) -> Iterator[bytes]:
        """The document. Ends the writing; the files go as they have been read."""
        for file in self._files.values():
            if self._rows:
                file.truncate(file.tell() - 1)
            file.close()
        head = b"{"
        for column, path in self._paths.items():
            yield head + orjson.dumps(column) + b":{"
            yield from of_file(path)
            path.unlink()
            head = b"},"
        yield b"}}"
