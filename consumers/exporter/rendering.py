"""Columns of numbers: kept as they are in memory, and made text by several threads when the archive takes them.

orjson writes the numbers, Arrow puts the row's number before each; of all that only orjson's part holds the
interpreter. Numbers on disk are a fraction of their text.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

THREADS = 2
COMMA = ord(",")
#: Rows whose numbers differ in their last four digits only.
TENTHOUSAND = 10_000
#: Blocks begin at multiples of it: beyond the first one, all row numbers of a block have the same number of digits.
BLOCK = 5 * TENTHOUSAND
AHEAD = THREADS + 1
POOL = ThreadPoolExecutor(THREADS, "render")


class NumberSpool:
    """A column of integers or floats, none of them missing."""

    def __init__(self, path: Path, dtype: Any) -> None:
        self._path = path
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")

    def add(self, _: int, values: Any) -> None:
        """Write them down as they are in memory."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)

    def chunks(self) -> Iterator[Any]:
        """Their text, some blocks ahead of whoever takes it."""
        self._file.close()
        under_way: deque[Future[Any]] = deque()
        for first, values in self._blocks():
            under_way.append(POOL.submit(_numbered, first, values))
            if len(under_way) > AHEAD:
                yield under_way.popleft().result()
        for each in under_way:
            yield each.result()
        self._path.unlink()

    def _blocks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        first = 0
        with self._path.open("rb", 0) as source:
            while len(values := np.fromfile(source, self._dtype, BLOCK)):
                yield first, values
                first += len(values)


def _numbered(first: int, values: NDArray[Any]) -> Any:
    """`"0":1.5,"1":2`, with a comma before all but the first block."""
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    commas = np.flatnonzero(np.frombuffer(text, np.uint8) == COMMA)
    # A value ends with the comma behind it, the last one with the bracket: that goes again below.
    offsets = np.empty(len(values) + 1, np.int32)
    offsets[0], offsets[-1] = 1, len(text)
    np.add(commas, 1, out=offsets[1:-1], casting="unsafe")
    column = pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))
    joined = memoryview(pc.binary_join_element_wise(_heads(first)[: len(values)], column, "").buffers()[2])
    return joined[:-1] if first == 0 else b"".join((b",", joined[:-1]))


def _heads(first: int) -> Any:
    """What stands before the values of a block: `"50000":`, `"50001":`, ..."""
    if first == 0:
        return _first_heads()
    prefixes = [str(n).encode() for n in range(first // TENTHOUSAND, (first + BLOCK) // TENTHOUSAND)]
    digits = len(prefixes[0])
    text = np.empty((len(prefixes), TENTHOUSAND, digits + 7), np.uint8)
    text[:, :, 0] = ord('"')
    text[:, :, 1 : digits + 1] = np.frombuffer(b"".join(prefixes), np.uint8).reshape(len(prefixes), 1, digits)
    text[:, :, digits + 1 :] = _last_digits()
    offsets = np.arange(0, text.size + 1, text.shape[2], dtype=np.int32)
    return pa.StringArray.from_buffers(BLOCK, pa.py_buffer(offsets), pa.py_buffer(text))


@cache
def _first_heads() -> Any:
    return pa.array([f'"{n}":' for n in range(BLOCK)])


@cache
def _last_digits() -> NDArray[np.uint8]:
    ends = "".join(f'{n:04d}":' for n in range(TENTHOUSAND)).encode()
    return np.frombuffer(ends, np.uint8).reshape(TENTHOUSAND, -1)
