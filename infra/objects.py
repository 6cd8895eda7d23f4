"""Objects on their way to the store: hashed while they are read. No network here."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CHUNK = 256 * 1024


class Readable(Protocol):
    """Where a stream comes from: like a binary file; `b""` is its end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Stored:
    """An object that was written. Hashes in lower-case hex, size in bytes."""

    object_key: str
    sha256: str
    sha1: str
    size: int


class Hashing:
    """A readable that keeps SHA-256, SHA-1 and the number of bytes of all that was read through it."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self.size = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes; fewer only at the end, so that the client never joins many small pieces."""
        pieces: list[bytes] = []
        missing = size
        while missing > 0 and (piece := self._source.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
            self._sha256.update(piece)
            self._sha1.update(piece)
        self.size += size - missing
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def stored(self, key: str) -> Stored:
        """What went through so far, as an object."""
        return Stored(key, self._sha256.hexdigest(), self._sha1.hexdigest(), self.size)


def digest(source: Path | bytes) -> Stored:
    """Hash a file or bytes without writing them anywhere; the key is empty."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as opened:
        hashing = Hashing(opened)
        while hashing.read():
            pass
    return hashing.stored("")
