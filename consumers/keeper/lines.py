"""The lines of an uploaded file, whatever it is packed in: plain, gzip, a zip of several files. Never whole here."""

import gzip
import io
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from consumers.outcome import Rejected

TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
MOST_MEMBERS = 100
MOST_BYTES = 16 * 1024**3
LONGEST_LINE = 1024 * 1024
#: Some hundred lines: what is made of them stays in the caches, and an odd one slows down no more than these.
PIECE = 32 * 1024
BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


class Text:
    """The lines of a text with their ends: one by one, or as many as are there, as its reader likes."""

    def __init__(self, pieces: Iterator[str]) -> None:
        """`pieces` are of whole lines."""
        self._pieces = pieces
        self._held: deque[str] = deque()

    def __iter__(self) -> Iterator[str]:
        return iter(self.line, "")

    def line(self) -> str:
        """The next line; empty at the end."""
        if not self.peek():
            return ""
        return self._held.popleft()

    def peek(self) -> str:
        """The next line, which stays the next one; empty at the end."""
        if not self._held:
            self._held.extend(split(next(self._pieces, "")))
        return self._held[0] if self._held else ""

    def some(self) -> str:
        """The next lines, not cut up; empty at the end."""
        held = "".join(self._held)
        self._held.clear()
        return held or next(self._pieces, "")


def split(piece: str) -> list[str]:
    """Lines with their ends, whichever these are."""
    return io.StringIO(piece, newline="").readlines()


def texts(path: Path, name: str, others: list[str] | None = None) -> Iterator[tuple[str, Text]]:
    """Each text in a file: what it is called, and its lines as they come.

    Whoever gives a list of `others` wants of an archive with tables only these; what else is in it is named there.
    Bytes that are no UTF-8 become surrogates. Raises Rejected for what cannot be unpacked, or is too much.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(GZIP):
        with gzip.open(path) as packed:
            yield name.removesuffix(".gz"), Text(_pieces(cast(IO[bytes], packed)))
    elif magic == ZIP:
        yield from _members(path, others)
    else:
        with path.open("rb") as plain:
            yield name, Text(_pieces(plain))


def _members(path: Path, others: list[str] | None) -> Iterator[tuple[str, Text]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir() and _wanted(info.filename)]
            if others is not None and any(_is_table(info.filename) for info in members):
                others += [info.filename for info in members if not _is_table(info.filename)]
                members = [info for info in members if _is_table(info.filename)]
            if len(members) > MOST_MEMBERS:
                raise Rejected("bad_archive", f"The archive has more than {MOST_MEMBERS} files.")
            for info in members:
                with archive.open(info) as member:
                    yield _member(info.filename.rpartition("/")[2], member)
    except BROKEN as error:
        raise Rejected("bad_archive", f"The archive cannot be unpacked: {type(error).__name__}.") from error


def _member(name: str, member: IO[bytes]) -> tuple[str, Text]:
    if cast(zipfile.ZipExtFile, member).peek(len(GZIP)).startswith(GZIP):
        return name.removesuffix(".gz"), Text(_pieces(cast(IO[bytes], gzip.open(member))))
    return name, Text(_pieces(member))


def _is_table(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(TABLES)


def _wanted(name: str) -> bool:
    return not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith(".")


def _pieces(source: IO[bytes]) -> Iterator[str]:
    """Whole lines; of one that is too long, as much as a line may have."""
    bounded = cast(IO[bytes], _Bounded(source))
    text = io.TextIOWrapper(bounded, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        held = ""
        while piece := text.read(PIECE):
            held += piece
            while len(held) > LONGEST_LINE and _end_of_lines(held[:LONGEST_LINE]) == 0:
                yield held[:LONGEST_LINE]
                held = held[LONGEST_LINE:]
            end = _end_of_lines(held)
            if end:
                yield held[:end]
                held = held[end:]
        if held:
            yield held
    except BROKEN as error:
        raise Rejected("bad_archive", f"The file cannot be unpacked: {type(error).__name__}.") from error
    finally:
        text.detach()


def _end_of_lines(text: str) -> int:
    """Where its last whole line ends. At its very end a return may be half of an end."""
    end = text.rfind("\n") + 1
    return max(end, text.rfind("\r", end, -1) + 1)


class _Bounded(io.BufferedIOBase):
    """At most so many bytes. A NUL, which no database keeps, comes as what no text has either."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = cast(io.BufferedIOBase, source)
        self._left = MOST_BYTES

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        piece = self._source.read1(size)
        self._left -= len(piece)
        if self._left < 0:
            raise Rejected("too_large", f"Unpacked, the file has more than {MOST_BYTES} bytes.")
        return piece.replace(b"\0", b"\xff")
