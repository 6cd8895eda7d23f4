"""A table as a Parquet file: written in row groups, compressed with zstd."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from consumers.archive.columns import Told
from consumers.archive.zipping import of_file

TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "moment": pa.timestamp("ms", "UTC"),
}
LEVEL = 1


class ParquetFile:
    """A file that grows by blocks. Dictionaries would make floats slower and larger."""

    def __init__(self, path: Path, types: Mapping[str, str]) -> None:
        self._path = path
        self._schema = pa.schema([(name, TYPES[type_]) for name, type_ in types.items()])
        self._writer = pq.ParquetWriter(
            path, self._schema, compression="zstd", compression_level=LEVEL, use_dictionary=False
        )

    def add(self, block: Mapping[str, Sequence[Any]]) -> None:
        """Add rows, by column."""
        self._writer.write_batch(pa.RecordBatch.from_pydict(dict(block), self._schema))

    def chunks(self, _: Told) -> Iterator[bytes]:
        """The file. Ends the writing."""
        self._writer.close()
        yield from of_file(self._path)
