"""Reading what Postgres' binary COPY wrote: rows of JSON one by one, rows of numbers as whole blocks of numpy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from consumers.growing import Growing

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
FLOAT8 = 701
CACHED_ROWS = 1024
MOST_LETTERS = 4 * 1024 * 1024


class Malformed(ValueError):
    """The file is not what the query must have written."""


@dataclass(frozen=True)
class Vectors:
    """Rows of numbers: their ids, and one line of `columns` for each number of a row."""

    ids: NDArray[np.int64]
    columns: NDArray[np.float64]


def records(part: Growing) -> Iterator[Any]:
    """The JSON value of each row. Raises Malformed."""
    with part.open() as source:
        if source.read(len(SIGNATURE)) != SIGNATURE:
            raise Malformed("no header")
        while (head := source.read(6))[:2] == b"\0\1":
            yield orjson.loads(source.read(int.from_bytes(head[2:])))
        if head != END:
            raise Malformed("a row has another number of fields, or there is no end")


def blocks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Rows `[id, text or None, ...]` in blocks of at most `size`, none empty; of long texts there are fewer in one."""
    block: list[Any] = []
    letters = 0
    for row in rows:
        block.append(row)
        letters += len(row[1] or "")
        if len(block) == size or letters > MOST_LETTERS:
            yield block
            block, letters = [], 0
    if block:
        yield block


def vectors(part: Growing, dimension: int, size: int) -> Iterator[Vectors]:
    """Rows `(id, vector)` in blocks. Every row has the same length, as no number may be missing. Raises Malformed."""
    row = _row(dimension)
    with part.open() as source:
        if source.read(len(SIGNATURE)) != SIGNATURE:
            raise Malformed("no header")
        while len(data := source.read(size * row.itemsize)) > len(END):
            # Rows are longer than the end is, which comes behind the last of them.
            rows, rest = divmod(len(data), row.itemsize)
            if rest and data[-rest:] != END:
                raise Malformed("the rows are not of one length")
            yield _vectors(np.frombuffer(data, row, rows), dimension)
            if rest:
                return
        if data != END:
            raise Malformed("there is no end")


def _vectors(block: NDArray[Any], dimension: int) -> Vectors:
    heads = (block["fields"] == 2, block["nulls"] == 0, block["type"] == FLOAT8, block["length"] == dimension)
    if not all(head.all() for head in heads):
        raise Malformed("a row is not an id and a vector")
    values = block["items"]["value"]
    columns = np.empty((dimension, len(block)))
    # A part at a time that stays in the processor's cache: several times as fast.
    for first in range(0, len(block), CACHED_ROWS):
        columns[:, first : first + CACHED_ROWS] = values[first : first + CACHED_ROWS].T
    return Vectors(block["id"].astype(np.int64), columns)


def _row(dimension: int) -> "np.dtype[np.void]":
    item = [("bytes", ">i4"), ("value", ">f8")]
    return np.dtype(
        [
            ("fields", ">i2"),
            ("id_bytes", ">i4"),
            ("id", ">i8"),
            ("vector_bytes", ">i4"),
            ("dimensions", ">i4"),
            ("nulls", ">i4"),
            ("type", ">i4"),
            ("length", ">i4"),
            ("first", ">i4"),
            ("items", item, (dimension,)),
        ]
    )
