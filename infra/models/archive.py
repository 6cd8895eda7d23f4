"""Archives from strangers: every entry is judged before a byte is unpacked, and nothing is written where they say."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

MOST_ENTRIES = 20_000
LARGEST = 16 * 1024**3
#: No model is this compressible; what is smaller may be.
BOMB_RATIO = 100
HARMLESS = 100_000
LARGEST_TEXT = 4 * 1024**2
CHUNK = 1024 * 1024


class Unusable(Exception):
    """An archive, or a model, that cannot be taken: a code for machines and a sentence for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Archive:
    """An open zip archive whose entries have been judged."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        self._entries = {entry.filename: entry for entry in opened.infolist() if not entry.is_dir()}

    @property
    def names(self) -> list[str]:
        """The files in it, in order."""
        return sorted(self._entries)

    def read(self, name: str, limit: int = LARGEST_TEXT) -> bytes:
        """A small file in it. Raises Unusable."""
        with self._reading(name) as source:
            data: bytes = source.read(limit + 1)
        if len(data) > limit:
            raise Unusable("too_large", f"{PurePosixPath(name).name} is larger than {limit} bytes.")
        return data

    def begins(self, name: str, start: bytes) -> bool:
        """Whether a file begins with these bytes."""
        with self._reading(name) as source:
            return bool(source.read(len(start)) == start)

    def unpack(self, name: str, target: Path) -> None:
        """Write one file where we want it; its size was judged by what the archive says, and holds."""
        left = self._entries[name].file_size
        with self._reading(name) as source, target.open("wb") as sink:
            while chunk := source.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise Unusable("unsafe_archive", "A file in the archive is larger than the archive says.")
                sink.write(chunk)

    @contextmanager
    def _reading(self, name: str) -> Iterator[zipfile.ZipExtFile]:
        try:
            with self._opened.open(self._entries[name]) as source:
                yield source  # type: ignore[misc]
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise Unusable(
                "bad_archive", "The archive is damaged, or packed in a way that is not supported."
            ) from error


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive. Raises Unusable: `bad_archive`, `unsafe_archive`, `archive_bomb`, `too_large`."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise Unusable("bad_archive", "The file is not a zip archive, or it is damaged.") from error
    with archive:
        _judge(archive.infolist(), path.stat().st_size)
        yield Archive(archive)


def _judge(entries: list[zipfile.ZipInfo], packed: int) -> None:
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES or total > LARGEST:
        raise Unusable("too_large", f"An archive has at most {MOST_ENTRIES} files and {LARGEST >> 30} GiB unpacked.")
    if total > HARMLESS and total > BOMB_RATIO * packed:
        raise _bomb()
    for entry in entries:
        _judge_one(entry)


def _judge_one(entry: zipfile.ZipInfo) -> None:
    if entry.file_size > HARMLESS and entry.file_size > BOMB_RATIO * entry.compress_size:
        raise _bomb()
    name = entry.filename
    strange = "\\" in name or ":" in name or not name.isprintable() or name.startswith("/")
    if strange or ".." in PurePosixPath(name).parts:
        raise Unusable("unsafe_archive", "A file in the archive has a name that leads out of it.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR} or entry.flag_bits & 1:
        raise Unusable("unsafe_archive", "The archive has a link, a device or an encrypted file in it.")


def _bomb() -> Unusable:
    return Unusable("archive_bomb", "The archive would unpack to far more than it is.")
