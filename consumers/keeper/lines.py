"""The lines of an uploaded file, whatever it is packed in: plain, gzip, a zip of several files. Never whole here."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from consumers.outcome import Rejected

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
MOST_MEMBERS = 100
MOST_BYTES = 16 * 1024**3
LONGEST_LINE = 1024 * 1024
PIECE = 64 * 1024
BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def texts(path: Path, name: str) -> Iterator[tuple[str, Iterator[str]]]:
    """Each text in a file: what it is called, and its lines with their ends, as they come.

    Bytes that are no UTF-8 become surrogates. Raises Rejected for what cannot be unpacked, or is too much.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(GZIP):
        with gzip.open(path) as packed:
            yield name.removesuffix(".gz"), _lines(cast(IO[bytes], packed))
    elif magic == ZIP:
        yield from _members(path)
    else:
        with path.open("rb") as plain:
            yield name, _lines(plain)


def _members(path: Path) -> Iterator[tuple[str, Iterator[str]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir() and _wanted(info.filename)]
            if len(members) > MOST_MEMBERS:
                raise Rejected("bad_archive", f"The archive has more than {MOST_MEMBERS} files.")
            for info in members:
                with archive.open(info) as member:
                    yield info.filename.rpartition("/")[2], _lines(member)
    except BROKEN as error:
        raise Rejected("bad_archive", f"The archive cannot be unpacked: {type(error).__name__}.") from error


def _wanted(name: str) -> bool:
    return not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith(".")


def _lines(source: IO[bytes]) -> Iterator[str]:
    bounded = cast(IO[bytes], _Bounded(source))
    text = io.TextIOWrapper(bounded, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        held = ""
        while piece := text.read(PIECE):
            some = io.StringIO(held + piece, newline="").readlines()
            while len(some[0]) > LONGEST_LINE:  # only the first can be: it began in a piece before
                yield some[0][:LONGEST_LINE]
                some[0] = some[0][LONGEST_LINE:]
            held = some.pop()  # its end may be still to come
            yield from some
        if held:
            yield held
    except BROKEN as error:
        raise Rejected("bad_archive", f"The file cannot be unpacked: {type(error).__name__}.") from error
    finally:
        text.detach()


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
