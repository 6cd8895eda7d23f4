"""Deflate in several threads: blocks compressed each for itself, and put in a row again, are one legal stream."""

import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from isal import isal_zlib

#: Level and window of isal: several times as fast as zlib at that ratio. Raw deflate has a window below zero.
FAR, NEAR = (3, -15), (1, -9)
SAMPLE = 16 * 1024
#: An empty last block: blocks that may be followed by others never say that they are the last.
END = b"\x03\x00"
#: Bytes of a block that is stored.
LONGEST = 0xFFFF


class Deflating:
    """Looks like a compression object of zlib. What comes out lags a few blocks behind what went in."""

    def __init__(self, pool: ThreadPoolExecutor, ahead: int) -> None:
        self._pool = pool
        self._ahead = ahead
        self._under_way: deque[Future[bytes]] = deque()

    def compress(self, block: bytes) -> bytes:
        """Take a block; what is finished, if anything is."""
        self._under_way.append(self._pool.submit(_deflated, block))
        return self._under_way.popleft().result() if len(self._under_way) > self._ahead else b""

    def flush(self) -> bytes:
        """The rest, and the end."""
        rest = b"".join(each.result() for each in self._under_way)
        self._under_way.clear()
        return rest + END


class Storing:
    """The same for what is packed already: blocks that say how long they are. zlib takes eight times as long."""

    def compress(self, block: bytes) -> bytes:
        """The block as it is, in parts of the greatest length that there is."""
        view = memoryview(block)
        parts: list[bytes | memoryview] = []
        for first in range(0, len(block), LONGEST):
            part = view[first : first + LONGEST]
            parts += [struct.pack("<BHH", 0, len(part), LONGEST - len(part)), part]
        return b"".join(parts)

    def flush(self) -> bytes:
        """The end."""
        return END


def _deflated(block: bytes) -> bytes:
    # Random digits look alike by chance, and it costs more to say where than to say them again: numbers, and the names
    # of rows before them, are a seventh smaller, and a fifth faster, when nobody looks far back. Texts are not.
    near, far = (_compressed(block[:SAMPLE], how) for how in (NEAR, FAR))
    if len(block) <= SAMPLE:
        return min(near, far, key=len)
    return _compressed(block, NEAR if len(near) < len(far) else FAR)


def _compressed(block: bytes, how: tuple[int, int]) -> bytes:
    level, window = how
    made = isal_zlib.compressobj(level, isal_zlib.DEFLATED, window)
    return bytes(made.compress(block) + made.flush(isal_zlib.Z_FULL_FLUSH))
