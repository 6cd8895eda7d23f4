"""From lines to items: their keys, partitions and attributes. A line that makes no item says why."""

import csv
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.outcome import Rejected
from schemas.catalogue import Format, ImportItems

LONGEST_KEY = 1024
SEPARATOR = "\x1f"
"""Between the parts of a key of several columns."""
KEYS = ("key", "id", "ytid")
PARTITION = "partition"
AUDIOSET_SUFFIX = "_segments"


@dataclass(frozen=True, slots=True)
class Row:
    """An item as a line has it. Attributes are JSON."""

    line: int
    key: str
    partition: str
    attributes: bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that makes no item."""

    line: int
    reason: str


def rows(lines: Iterator[str], name: str, wanted: ImportItems) -> Iterator[Row | Bad]:
    """The items in a text called `name`. Raises Rejected when it has no such columns."""
    first = next(lines, None)
    if first is None:
        return iter(())
    form = _form(wanted.format, name, first)
    if form is Format.JSONL:
        return _of_objects(_again(first, lines), wanted)
    return _of_table(_again(first, lines), name, form, wanted)


def _again(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _form(given: Format, name: str, first: str) -> Format:
    if given is not Format.AUTO:
        return given
    if first.lstrip().startswith("{"):
        return Format.JSONL
    if first.startswith("#"):
        return Format.AUDIOSET
    return Format.TSV if name.endswith((".tsv", ".tab")) or ("\t" in first and "," not in first) else Format.CSV


def _of_table(lines: Iterator[str], name: str, form: Format, wanted: ImportItems) -> Iterator[Row | Bad]:
    """A header, then rows of the same length. In AudioSet's dialect the header is the last comment at the top."""
    counted = _Counted(lines)
    header = _header(counted, form)
    make = _maker(header, name, form, wanted)
    reader = csv.reader(counted, delimiter="\t" if form is Format.TSV else ",", skipinitialspace=True)
    while True:
        started = counted.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Bad(started, f"not_csv: {error}")
            continue
        if not fields or (fields[0].startswith("#") and form is Format.AUDIOSET):
            continue
        yield make(started, fields) if len(fields) == len(header) else Bad(started, "wrong_number_of_columns")


class _Counted:
    """Lines with their number. One with a NUL is passed on without it, to be refused for its odd character."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line.replace("\0", "\udc00") if "\0" in line else line


def _header(lines: _Counted, form: Format) -> list[str]:
    text = next(lines)
    while form is Format.AUDIOSET and "ytid" not in text.lower():
        text = next(lines, "")
        if not text or not text.startswith("#"):
            raise Rejected("no_header", "The file has no line that names its columns.")
    delimiter = "\t" if form is Format.TSV else ","
    try:
        names = next(csv.reader([text.lstrip("# ").rstrip("\r\n")], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error as error:  # such as a name as long as the file
        raise Rejected("no_header", f"The line that names the columns cannot be read: {error}.") from None
    return [name.strip() for name in names]


def _maker(
    header: Sequence[str], name: str, form: Format, wanted: ImportItems
) -> Callable[[int, Sequence[str]], Row | Bad]:
    """What makes an item of the fields of a line."""
    places = [_place(header, column) for column in wanted.key] or [_default_key(header)]
    part_place = header.index(PARTITION) if PARTITION in header else None
    partition = wanted.partition
    if partition is None:
        partition = _stem(name) if form is Format.AUDIOSET else ""
        by_column = part_place is not None
    else:
        by_column = False
    names = [wanted.columns.get(column, column) for column in header]
    kept = [n for n, column in enumerate(names) if column and n not in places and not (by_column and n == part_place)]
    labels = [names[n] for n in kept]

    def make(line: int, fields: Sequence[str]) -> Row | Bad:
        key = _key([fields[place] for place in places])
        where = fields[part_place].strip() if by_column and part_place is not None else partition or ""
        return _made(line, key, where, dict(zip(labels, [fields[n] for n in kept], strict=True)))

    return make


def _place(header: Sequence[str], column: str) -> int:
    if column not in header:
        raise Rejected("no_such_column", f"The file has no column {column!r}.")
    return header.index(column)


def _default_key(header: Sequence[str]) -> int:
    lower = [name.lower() for name in header]
    known = [lower.index(name) for name in KEYS if name in lower]
    return known[0] if known else next((n for n, name in enumerate(header) if name), 0)


def _stem(name: str) -> str:
    return name.partition(".")[0].removesuffix(AUDIOSET_SUFFIX)[:200]


def _key(parts: Sequence[str]) -> str:
    trimmed = [part.strip() for part in parts]
    return SEPARATOR.join(part if part.isascii() else unicodedata.normalize("NFC", part) for part in trimmed)


def _made(line: int, key: str, partition: str, attributes: dict[str, Any]) -> Row | Bad:
    try:
        size = len(key.encode()) if not key.isascii() else len(key)
        if not key.strip(SEPARATOR):
            return Bad(line, "empty_key")
        if size > LONGEST_KEY:
            return Bad(line, "key_too_long")
        if "\0" in key or len(partition) > 200:
            return Bad(line, "bad_character" if "\0" in key else "partition_too_long")
        partition.encode()
        return Row(line, key, partition, orjson.dumps(attributes))
    except (UnicodeEncodeError, TypeError, orjson.JSONEncodeError):
        return Bad(line, "bad_character")


def _of_objects(lines: Iterator[str], wanted: ImportItems) -> Iterator[Row | Bad]:
    """A JSON object on each line."""
    for number, text in enumerate(lines, 1):
        if text.strip():
            yield _of_object(number, text, wanted)


def _of_object(number: int, text: str, wanted: ImportItems) -> Row | Bad:
    try:
        given = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return Bad(number, "not_json")
    if not isinstance(given, dict):
        return Bad(number, "no_object")
    columns = wanted.key or [next((name for name in given if name.lower() in KEYS), "key")]
    parts = [given.pop(column, None) for column in columns]
    if not all(isinstance(part, str | int) and not isinstance(part, bool) for part in parts):
        return Bad(number, "no_key")
    partition = wanted.partition
    if partition is None:
        partition = given.pop(PARTITION, "")
    if not isinstance(partition, str):
        return Bad(number, "bad_partition")
    attributes = {wanted.columns.get(str(name), str(name)): value for name, value in given.items()}
    return _made(number, _key([str(part) for part in parts]), partition, attributes)
