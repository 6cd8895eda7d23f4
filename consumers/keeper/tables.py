"""Tables as items: a header, then a line for each.

Lines are read by the hundred. What is as it nearly always is (all of one length, plain ASCII, with a key) is made by
functions that go over all of them at once; anything odd, and all that is read with it, line by line.
"""

import csv
from collections import deque
from collections.abc import Iterator, Sequence

from consumers.keeper.flat import columns_of
from consumers.keeper.lines import LONGEST_LINE, Text, split
from consumers.keeper.made import LONGEST_PARTITION, Bad, Made, Plain, Row, item
from consumers.outcome import Rejected
from schemas.catalogue import Format, ImportItems
from schemas.items import LONGEST_KEY, key_of

KEYS = ("key", "id", "ytid")
PARTITION = "partition"
NOT_CSV = "not_csv"
WRONG_WIDTH = "wrong_number_of_columns"
AUDIOSET_SUFFIX = "_segments"


def of_table(text: Text, name: str, form: Format, wanted: ImportItems) -> Iterator[Made]:
    """A header, then rows of the same length. In AudioSet's dialect the header is the last comment at the top."""
    header, number = _header(text, form)
    columns = Columns(header, name, form, wanted)
    slowly = OneByOne(text, columns)
    while some := text.some():
        plain = columns.plain(some, number + 1)
        if plain is not None:
            number += some.count("\n") + (not some.endswith("\n"))
            yield plain
            continue
        for made, read in slowly.made(some, number + 1):
            number += read
            yield made


class OneByOne:
    """Lines through a reader of CSV, which goes on behind them when the last field does.

    A quote that nobody closes looks like a field of many lines. So a record of many lines must be as the standard wants
    it and have all its columns; else its first line is to blame, and the others are read again. But only once: where
    every line opens a quote the same lines would be read for ever, so what is misread for the second time is bad.
    """

    def __init__(self, text: Text, columns: "Columns") -> None:
        self._columns = columns
        self._text = text
        self._held: deque[str] = deque()
        self._again = 0
        self._line = ""
        self._alone = csv.reader(self._lines(), columns.dialect)

    def _lines(self) -> Iterator[str]:
        """Each line by itself. When a reader asks for more than there is, a quote is open: there will be a new one."""
        while line := self._line:
            self._line = ""
            yield line
        self._alone = csv.reader(self._lines(), self._columns.dialect)

    def made(self, some: str, number: int) -> Iterator[tuple[list[Row | Bad], int]]:
        """What these lines make, of which the first has this number, and how many were read, a part at a time.

        A part ends where lines are to be read again: they may end in such lines themselves, and so on to the last one.
        """
        self._held.extend(split(some))
        while self._held:
            made: list[Row | Bad] = []
            begun, again = number, self._again
            while self._held and self._again == again:
                number += self._record(number, made)
            yield made, number - begun

    def _record(self, number: int, made: list[Row | Bad]) -> int:
        """Add what the next record makes; returns how many lines it takes."""
        self._line = line = self._held.popleft()
        alone = self._alone
        others: list[str] = []
        one: Row | Bad | None
        try:
            fields = next(alone)
            if alone is not self._alone and not self._columns.is_comment(line):
                fields = next(csv.reader(self._with(line, others), self._columns.dialect, strict=True))
            one = self._columns.one(number, fields)
        except csv.Error as error:
            one = Bad(number, f"{NOT_CSV}: {error}")
        if one is not None:
            made.append(one)
        if not others or not isinstance(one, Bad):
            return 1 + len(others)
        if one.reason == WRONG_WIDTH or one.reason.startswith(NOT_CSV):
            others = self._read_before(others, number + 1)
        made += [Bad(number + n, one.reason) for n in range(1, 1 + len(others))]
        return 1 + len(others)

    def _with(self, line: str, others: list[str]) -> Iterator[str]:
        """A line and those behind it, as many as are asked for."""
        size = len(line)
        yield line
        while line := self._held.popleft() if self._held else self._text.line():
            others.append(line)
            size += len(line)
            if size > LONGEST_LINE:
                raise csv.Error("a quote is closed far away or not at all")
            yield line

    def _read_before(self, lines: list[str], number: int) -> list[str]:
        """Those of these lines that have been read again already. The others will be."""
        before = max(0, min(self._again - number + 1, len(lines)))
        self._held.extendleft(reversed(lines[before:]))
        self._again = max(self._again, number + len(lines) - 1)
        return lines[:before]


def _header(lines: Text, form: Format) -> tuple[list[str], int]:
    """The names of the columns, and how many lines they and what stands above them take."""
    for number, text in enumerate(lines, 1):
        names = _names(text, form)
        # AudioSet's comments above it speak of numbers of ids: only a column that is called so makes a header.
        if form is not Format.AUDIOSET or "ytid" in map(str.lower, names):
            return names, number
        if number > 1 and not text.startswith("#"):
            break
    raise Rejected("no_header", "The file has no line that names its columns.")


def _names(text: str, form: Format) -> list[str]:
    line = text.lstrip("# ").rstrip("\r\n")
    try:
        names = next(csv.reader([line], delimiter=_delimiter(form), skipinitialspace=True), [])
    except csv.Error as error:  # such as a name as long as the file
        raise Rejected("no_header", f"The line that names the columns cannot be read: {error}.") from None
    return [name.strip() for name in names]


class Columns:
    """Which fields of a line make what of an item."""

    def __init__(self, header: Sequence[str], name: str, form: Format, wanted: ImportItems) -> None:
        self._key_places = [_place(header, column) for column in wanted.key] or [_default_key(header)]
        self._part_place = header.index(PARTITION) if PARTITION in header and wanted.partition is None else None
        default = _stem(name) if form is Format.AUDIOSET else ""
        self._partition = default if wanted.partition is None else wanted.partition
        names = [wanted.columns.get(column, column) for column in header]
        apart = {*self._key_places, self._part_place}
        self._kept = [n for n, column in enumerate(names) if column and n not in apart]
        self._labels = [names[n] for n in self._kept]
        self._comments = form is Format.AUDIOSET
        self.delimiter = _delimiter(form)
        self.dialect = csv.reader((), delimiter=self.delimiter, skipinitialspace=True).dialect
        self._width = len(header)
        self._ends = self._plain_ends()

    def is_comment(self, line: str) -> bool:
        """Whether a line is no row, whatever its quotes are."""
        return self._comments and line.lstrip(" ").startswith(("#", '"#'))

    def one(self, number: int, fields: Sequence[str]) -> Row | Bad | None:
        """What a line makes; nothing of one that is empty or a comment."""
        if not fields or (self._comments and fields[0].startswith("#")):
            return None
        if len(fields) != self._width:
            return Bad(number, WRONG_WIDTH)
        where = self._partition if self._part_place is None else fields[self._part_place].strip()
        key = key_of([fields[place] for place in self._key_places])
        return item(number, key, where, dict(zip(self._labels, [fields[n] for n in self._kept], strict=True)))

    def plain(self, lines: str, number: int) -> Plain | None:
        """The same of many lines, the first of which has this number; None if there is anything to look at."""
        if self._ends is None or (columns := columns_of(lines, self._width, self.delimiter)) is None:
            return None
        keys = list(map(str.strip, columns[self._key_places[0]]))
        if not all(keys) or max(map(len, keys)) > LONGEST_KEY or not (lines.isascii() or "".join(keys).isascii()):
            return None
        if self._comments and "#" in lines and "#" in "".join(columns[0]):
            return None
        parts = [list(map(str, range(number, number + len(keys)))), keys]
        if self._part_place is not None:
            own = list(map(str.strip, columns[self._part_place]))
            if max(map(len, own)) > LONGEST_PARTITION:
                return None
            parts.append(own)
        parts += [columns[n] for n in self._kept]
        return Plain(_interleaved(parts, self._ends))

    def _plain_ends(self) -> list[str] | None:
        """What follows each part of an item on its line for the database. None where it is not so simple."""
        if len(self._key_places) > 1 or len(set(self._labels)) < len(self._labels):
            return None
        if len(self._partition) > LONGEST_PARTITION or not _is_plain("".join([self._partition, *self._labels])):
            return None
        where = self._partition if self._part_place is None else "\0"
        attributes = ",".join(f'"{label}":"\0"' for label in self._labels)
        return f"\0\t\0\t{where}\t{{{attributes}}}\n".split("\0")[1:]


def _delimiter(form: Format) -> str:
    return "\t" if form is Format.TSV else ","


def _interleaved(columns: Sequence[list[str]], ends: Sequence[str]) -> str:
    """Row by row, each column's text with what follows it."""
    rows = len(columns[0])
    step = 2 * len(columns)
    pieces = [""] * (step * rows)
    for place, (column, end) in enumerate(zip(columns, ends, strict=True)):
        pieces[2 * place :: step] = column
        pieces[2 * place + 1 :: step] = [end] * rows
    return "".join(pieces)


def _is_plain(text: str) -> bool:
    """Whether all of it stands for itself, in JSON and for the database."""
    return text.isprintable() and '"' not in text and "\\" not in text


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
