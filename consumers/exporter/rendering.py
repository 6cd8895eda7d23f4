"""Columns of numbers as text, fast: orjson writes the numbers, Arrow puts the row's number before each.

Both threads work on columns of one block; of what they do only orjson's part holds the interpreter.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from consumers.archive.columns import plain

THREADS = 2
COMMA = ord(",")


class Rendering:
    """What `ColumnSpools` renders with: arrays of numbers by column, anything else as it is."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "render")

    def __call__(self, first: int, block: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The text of each column."""
        arrays = {column: values for column, values in block.items() if isinstance(values, np.ndarray)}
        others = {column: values for column, values in block.items() if column not in arrays}
        if arrays:
            rows = len(next(iter(arrays.values())))
            heads = pa.array([f'"{n}":' for n in range(first, first + rows)])
            texts = self._pool.map(lambda values: _numbered(heads, values), arrays.values())
            yield from zip(arrays, texts, strict=True)
        if others:
            yield from plain(first, others)


def _numbered(heads: Any, values: NDArray[Any]) -> Any:
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] + b","
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == COMMA) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    column = pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(text))
    joined = pc.binary_join_element_wise(heads, column, "")
    return joined.buffers()[2]
