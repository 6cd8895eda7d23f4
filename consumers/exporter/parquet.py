"""A table as a Parquet file: written in row groups, compressed with zstd."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from consumers.archive.columns import Told
from consumers.exporter.rendering import Coded
from consumers.growing import Growing

TYPES = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "word": pa.string(),
    "texts": pa.list_(pa.string()),
    "moment": pa.timestamp("ms", "UTC"),
}
#: None is missing in these: so nobody has to write down where they are.
COMPLETE = {"integer", "number", "word"}
LEVEL = 1


class ParquetFile:
    """A file that grows by blocks. Dictionaries would make floats slower and larger."""

    def __init__(self, path: Path, types: Mapping[str, str]) -> None:
        self._file = Growing(path)
        self._schema = pa.schema([pa.field(name, TYPES[type_], type_ not in COMPLETE) for name, type_ in types.items()])
        self._writer = pq.ParquetWriter(
            self._file.sink, self._schema, compression="zstd", compression_level=LEVEL, use_dictionary=False
        )

    def add(self, block: Mapping[str, Any]) -> None:
        """Add rows, by column."""
        columns = {name: values.arrow() if isinstance(values, Coded) else values for name, values in block.items()}
        self._writer.write_batch(pa.RecordBatch.from_pydict(columns, self._schema))

    def end(self, error: BaseException | None = None) -> None:
        """No more rows come."""
        try:
            self._writer.close()
        except Exception:
            if error is None:
                raise
        self._file.end(error)

    def chunks(self, _: Told) -> Iterator[bytes]:
        """The file, as it grows."""
        return self._file.chunks()
