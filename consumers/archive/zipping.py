"""A zip archive as a stream: ZIP64, deflated, and at its end a manifest with size and SHA-256 of every other member.

Nothing is kept but a block: neither a member nor the archive is ever whole in memory. The same members at the same
moment give the same bytes.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from stream_zip import ZIP_64, stream_zip

from consumers.archive.deflating import Deflating, Storing

MANIFEST = "manifest.json"
BLOCK = 1024 * 1024
THREADS = 2
MODE = 0o100644


@dataclass(frozen=True)
class Member:
    """A file of the archive. `chunks` is read once, when its turn comes; bytes, or anything that has a buffer."""

    name: str
    chunks: Iterable[Any]
    #: It is as small as it gets: it goes in as it is.
    packed: bool = False


@dataclass(frozen=True)
class Entry:
    """What went into the archive. Hash in lower-case hex, size in bytes, before compression."""

    name: str
    size: int
    sha256: str


#: From the members to what the manifest says beside them.
About = Callable[[Sequence[Entry]], dict[str, Any]]


def archive(members: Iterable[Member], taken_at: datetime, about: About) -> Generator[bytes, None, None]:
    """The bytes of an archive. Every member is as old as `taken_at`."""
    entries: list[Entry] = []
    packed = False

    def files() -> Iterator[tuple[str, datetime, int, Any, Iterable[bytes]]]:
        nonlocal packed
        for member in members:
            packed = member.packed
            yield member.name, taken_at, MODE, ZIP_64, _noted(member, entries)
        packed = False
        told = about(entries) | {"members": [vars(entry) for entry in entries]}
        document = orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        yield MANIFEST, taken_at, MODE, ZIP_64, (document,)

    with ThreadPoolExecutor(THREADS, "deflate") as pool:

        def compressing() -> Any:
            """For the member that was told last."""
            return Storing() if packed else Deflating(pool, 2 * THREADS)

        yield from stream_zip(files(), chunk_size=BLOCK, get_compressobj=compressing)


def _noted(member: Member, entries: list[Entry]) -> Iterator[Any]:
    digest, size = hashlib.sha256(), 0
    for chunk in member.chunks:
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    entries.append(Entry(member.name, size, digest.hexdigest()))
