"""A table in the default orientation of a pandas DataFrame, of any length: `{"column": {"0": value, ...}, ...}`.

Columns come one after the other there, rows come one after the other here. So every column has a spool of its own on
disk, and the member is the spools in a row. Memory stays at a block.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from consumers.archive.zipping import of_file

BUFFER = 256 * 1024


class ColumnSpools:
    """The columns of one table, in files below `folder`."""

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        folder.mkdir()
        self._paths = {column: folder / f"{n}.column" for n, column in enumerate(columns)}
        self._files: dict[str, BinaryIO] = {c: path.open("wb", BUFFER) for c, path in self._paths.items()}
        self._rows = 0

    def add(self, block: Mapping[str, Sequence[Any]]) -> None:
        """Add rows, by column."""
        rows = len(next(iter(block.values())))
        numbers = [str(n) for n in range(self._rows, self._rows + rows)]
        for column, file in self._files.items():
            # orjson writes an object faster than anything here could join its parts.
            text = orjson.dumps(dict(zip(numbers, block[column], strict=True)))[1:-1]
            file.write(b"," + text if self._rows and text else text)
        self._rows += rows

    def chunks(self) -> Iterator[bytes]:
        """The document. Ends the writing; the files go as they have been read."""
        for file in self._files.values():
            file.close()
        head = b"{"
        for column, path in self._paths.items():
            yield head + orjson.dumps(column) + b":{"
            yield from of_file(path)
            path.unlink()
            head = b"},"
        yield b"}}"
