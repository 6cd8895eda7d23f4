"""A table of the archive in every format that was asked for, written block by block to files in scratch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from consumers.archive.columns import ColumnSpools, Spool, TextSpool, Told
from consumers.archive.zipping import Member
from consumers.exporter.parquet import ParquetFile
from consumers.exporter.rendering import Coded, CodedSpool, NumberSpool
from consumers.growing import Growing
from schemas.exports import Format


class Type(StrEnum):
    """What a column holds. A moment is in milliseconds since 1970, UTC, as pandas writes it; None is not known.

    A word is one of few.
    """

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    WORD = "word"
    TEXTS = "texts"
    MOMENT = "moment"


@dataclass(frozen=True)
class Column:
    """A column."""

    name: str
    type: Type


def _plain(values: Any) -> Any:
    return values.tolist() if isinstance(values, np.ndarray | Coded) else values


class Lines:
    """One JSON object per row."""

    def __init__(self, path: Path) -> None:
        self._file = Growing(path)
        self.end = self._file.end

    def add(self, block: Mapping[str, Any]) -> None:
        """Add rows, by column."""
        names, columns = list(block), [_plain(values) for values in block.values()]
        for row in zip(*columns, strict=True):
            self._file.sink.write(orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE))

    def chunks(self, _: Told) -> Iterator[bytes]:
        """The file, as it grows."""
        return self._file.chunks()


NUMBERS = {Type.INTEGER: np.int64, Type.NUMBER: np.float64}


def _spools(columns: Sequence[Column], folder: Path) -> dict[str, Spool]:
    folder.mkdir()
    spools: dict[str, Spool] = {}
    for n, column in enumerate(columns):
        spools[column.name] = _spool(column.type, folder / f"{n}.column")
    return spools


def _spool(type_: Type, path: Path) -> Spool:
    if type_ is Type.WORD:
        return CodedSpool(path)
    return NumberSpool(path, NUMBERS[type_]) if type_ in NUMBERS else TextSpool(path)


class Table:
    """One table, without the ending of its name."""

    def __init__(self, name: str, columns: Sequence[Column], folder: Path, formats: Sequence[Format]) -> None:
        self.name = name
        self.rows = 0
        self._writers: dict[Format, Any] = {}
        for wanted in formats:
            match wanted:
                case Format.JSON:
                    self._writers[wanted] = ColumnSpools(_spools(columns, folder / name))
                case Format.NDJSON:
                    self._writers[wanted] = Lines(folder / f"{name}.lines")
                case Format.PARQUET:
                    types = {column.name: column.type.value for column in columns}
                    self._writers[wanted] = ParquetFile(folder / f"{name}.parquet", types)

    def add(self, block: Mapping[str, Any]) -> None:
        """Add rows, by column."""
        self.rows += len(next(iter(block.values())))
        for writer in self._writers.values():
            writer.add(block)

    def end(self, error: BaseException | None = None) -> None:
        """No more rows come; with an error, reading fails with it."""
        for writer in self._writers.values():
            writer.end(error)

    def members(self, told: Told) -> Iterator[Member]:
        """The files of the archive. They may be read while they are written."""
        for wanted, writer in self._writers.items():
            yield Member(f"{self.name}.{wanted.value}", writer.chunks(told), packed=wanted is Format.PARQUET)
