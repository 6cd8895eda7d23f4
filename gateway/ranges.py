"""Byte ranges as HTTP means them (RFC 9110, section 14): one range or the whole. Pure."""

import re
from dataclasses import dataclass

# Twenty digits hold any file; more are not a range that anybody means.
ONE_RANGE = re.compile(r"bytes=\s*([0-9]{0,20})-([0-9]{0,20})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """`length` bytes (at least one) from byte `start` on."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The `Content-Range` of this part of `size` bytes."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


class Unsatisfiable(Exception):
    """The range is well formed but has no byte of the content."""


def parse(header: str | None, size: int) -> Span | None:
    """The part of `size` bytes that a `Range` header asks for; None means the whole.

    Another unit, several ranges or a malformed header mean the whole, as the standard allows. Raises Unsatisfiable.
    """
    match = ONE_RANGE.fullmatch(header or "")
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        return _suffix(int(match[2]), size)
    first, last = int(match[1]), int(match[2] or size)
    if match[2] and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return Span(first, min(last, size - 1) - first + 1)


def _suffix(length: int, size: int) -> Span:
    if length == 0 or size == 0:
        raise Unsatisfiable
    return Span(max(0, size - length), min(length, size))
