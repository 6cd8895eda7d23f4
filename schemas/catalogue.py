"""Parameters of the jobs that work on a collection as a whole: imports, and states set by a file."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.fields import FileReference, Strict
from schemas.leases import Name, Partition, Reported

Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Format(StrEnum):
    """How a file of items is written. `auto` looks at its name and its first line."""

    AUTO = "auto"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    AUDIOSET = "audioset"


class ImportItems(Strict):
    """Bring the lines of a file, plain, gzip or zip, into a collection. What is known keeps its progress.

    In a zip with tables (.csv, .tsv, .tab, .jsonl or .ndjson, also .gz of these) only these are read; the result names
    the first hundred other files as `passed_over`.
    """

    collection: Name
    file: FileReference
    format: Format = Format.AUTO
    key: list[Column] = Field(
        default=[],
        max_length=8,
        description="Columns that make the key, trimmed and in NFC; by default `key`, `id` or `ytid`, or the first.",
    )
    partition: Partition | None = Field(
        None, description="Of every line. By default the column `partition`; for AudioSet, the name of the file."
    )
    columns: dict[Column, Column] = Field(
        default={}, max_length=200, description="Columns that get another name as attributes."
    )


class SetStates(Strict):
    """Set the state of every item that a file names: one key a line, up to the first comma."""

    collection: Name
    file: FileReference
    state: Reported
