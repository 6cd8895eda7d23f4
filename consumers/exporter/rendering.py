"""Columns of numbers and of few words: kept as they are in memory, and made text by several threads when the archive
takes them.

orjson writes the numbers, Arrow puts the row's number before each; of all that only orjson's part holds the
interpreter. Numbers on disk are a fraction of their text.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from consumers.growing import Growing

THREADS = 2
COMMA = ord(",")
#: Rows whose numbers differ in their last four digits only.
TENTHOUSAND = 10_000
#: Blocks begin at multiples of it: beyond the first one, all row numbers of a block have the same number of digits.
BLOCK = 5 * TENTHOUSAND
AHEAD = THREADS + 1
POOL = ThreadPoolExecutor(THREADS, "render")


@dataclass(frozen=True)
class Coded:
    """A column of few words: for each row the place of its word."""

    words: Sequence[str]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    def tolist(self) -> list[str]:
        """The words."""
        return [self.words[code] for code in self.codes.tolist()]

    def arrow(self) -> Any:
        """The words, as an Arrow array."""
        return pa.array(self.words, pa.string()).take(pa.array(self.codes))


class NumberSpool:
    """A column of integers or floats, none of them missing."""

    def __init__(self, path: Path, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._file = Growing(path)
        self.end = self._file.end

    def add(self, _: int, values: Any) -> None:
        """Write them down as they are in memory."""
        self._file.sink.write(np.ascontiguousarray(values, self._dtype).data)

    def chunks(self) -> Iterator[Any]:
        """Their text, some blocks ahead of whoever takes it."""
        return _chunks(self._file, self._dtype, _numbers)


class CodedSpool:
    """A column of few words, the same in every block."""

    def __init__(self, path: Path) -> None:
        self._words: Sequence[str] = ()
        self._file = Growing(path)
        self.end = self._file.end

    def add(self, _: int, values: Coded) -> None:
        """Write the places of the words down."""
        self._words = values.words
        self._file.sink.write(values.codes.data)

    def chunks(self) -> Iterator[Any]:
        """Their text, some blocks ahead of whoever takes it."""
        return _chunks(self._file, np.dtype(np.int32), self._coded)

    def _coded(self, first: int, codes: NDArray[np.int32]) -> Any:
        words = [orjson.dumps(word).decode() + "," for word in self._words]
        return _numbered(first, pa.array(words, pa.string()), codes)


def _chunks(file: Growing, dtype: "np.dtype[Any]", text: Callable[[int, NDArray[Any]], Any]) -> Iterator[Any]:
    """The texts of blocks with commas between them; then the file goes."""
    under_way: deque[Future[Any]] = deque()
    first = 0
    with file.open() as source:
        while data := source.read(BLOCK * dtype.itemsize):
            values = np.frombuffer(data, dtype)
            under_way.append(POOL.submit(text, first, values))
            first += len(values)
            if len(under_way) > AHEAD:
                yield under_way.popleft().result()
                yield b","
    while under_way:
        yield under_way.popleft().result()
        yield b"," if under_way else b""
    file.path.unlink()


def _numbers(first: int, values: NDArray[Any]) -> Any:
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    commas = np.flatnonzero(np.frombuffer(text, np.uint8) == COMMA)
    # A value ends with the comma behind it, the last one with the bracket.
    offsets = np.empty(len(values) + 1, np.int32)
    offsets[0], offsets[-1] = 1, len(text)
    np.add(commas, 1, out=offsets[1:-1], casting="unsafe")
    column = pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))
    return _numbered(first, column, _places()[: len(values)])


def _numbered(first: int, values: Any, places: NDArray[np.int32]) -> memoryview:
    """`"0":1.5,"1":2` of values that have one more byte each, and of the place of each row's value among them."""
    taken = np.empty(2 * len(places), np.int32)
    taken[0::2] = _places()[: len(places)]
    np.add(places, BLOCK, out=taken[1::2])
    joined = pc.take(pa.concat_arrays([_heads(first), values]), pa.array(taken), boundscheck=False)
    return memoryview(joined.buffers()[2])[:-1]


def _heads(first: int) -> Any:
    """What stands before the values of a block: `"50000":`, `"50001":`, ..."""
    if first == 0:
        return _first_heads()
    prefixes = [str(n).encode() for n in range(first // TENTHOUSAND, (first + BLOCK) // TENTHOUSAND)]
    digits = np.frombuffer(b"".join(prefixes), np.uint8).reshape(len(prefixes), -1)
    template, offsets = _template(digits.shape[1])
    text = template.copy()
    for place in range(digits.shape[1]):
        text[:, :, place + 1] = digits[:, place, None]
    return pa.StringArray.from_buffers(BLOCK, offsets, pa.py_buffer(text))


@cache
def _places() -> NDArray[np.int32]:
    return np.arange(BLOCK, dtype=np.int32)


@cache
def _first_heads() -> Any:
    return pa.array([f'"{n}":' for n in range(BLOCK)])


@cache
def _template(digits: int) -> tuple[NDArray[np.uint8], Any]:
    """The heads of a block without the digits that come before the last four, and where each begins."""
    ends = "".join(f'"{"0" * digits}{n:04d}":' for n in range(TENTHOUSAND)).encode()
    text = np.frombuffer(ends, np.uint8).reshape(TENTHOUSAND, -1)
    blocks = np.repeat(text[None], BLOCK // TENTHOUSAND, axis=0)
    return blocks, pa.py_buffer(np.arange(0, blocks.size + 1, blocks.shape[2], dtype=np.int32))
