"""Stored pieces as one stream, for a reader in a thread: opened one after the other, none whole in memory."""

from collections.abc import Iterator, Sequence

from infra.storage import Reading, Storage


class Chain:
    """The content of several objects, in order. Raises what the store raises."""

    def __init__(self, storage: Storage, keys: Sequence[str]) -> None:
        self._storage = storage
        self._keys = iter(keys)
        self._open: Reading | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._held = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        while not self._held:
            self._held = next(self._chunks, b"")
            if not self._held and not self._next():
                return b""
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _next(self) -> bool:
        self.close()
        key = next(self._keys, None)
        if key is None:
            return False
        self._open = self._storage.open(key)
        self._chunks = iter(self._open)
        return True
