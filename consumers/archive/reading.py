"""A stream of chunks as something that can be read: what an upload in parts takes."""

from collections.abc import Iterable, Iterator


class Reading:
    """Chunks of any length, read in pieces of any length."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; nothing at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece
