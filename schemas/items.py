"""Items under lease: their states and legal moves. The database refuses every move that is not in this table."""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from schemas.fields import STORABLE


class ItemState(StrEnum):
    """One vocabulary, everywhere. A failed item is offered again until its attempts are spent."""

    AVAILABLE = "available"
    LEASED = "leased"
    RUNNING = "running"
    COMPLETED = "completed"
    MISSING = "missing"
    FAILED = "failed"


KEY_SEPARATOR = "\x1f"
"""Between the parts of a key of several columns."""
CONTROL_PICTURES = 0x2400
"""Here begin Unicode's signs for control characters."""
LONGEST_KEY = 1024
"""Bytes in UTF-8."""
LINE_END = re.compile("[\n\r\x85\u2028\u2029]")
"""No new key has one in it: neither addresses nor files of keys could name the item."""


def key_of(parts: Sequence[str]) -> str:
    """A key of its parts: what looks the same is the same."""
    key = parts[0].strip() if len(parts) == 1 else KEY_SEPARATOR.join([part.strip() for part in parts])
    return key if key.isascii() else unicodedata.normalize("NFC", key)


def legible(text: str) -> str:
    """A key for people, on one line: a dot between its parts, and signs for other characters that nobody sees."""
    if text.isprintable():
        return text
    return "".join(map(_sign, text.replace(KEY_SEPARATOR, " · ")))


def _sign(character: str) -> str:
    if unicodedata.category(character) not in {"Cc", "Zl", "Zp"}:
        return character
    return chr(CONTROL_PICTURES + ord(character)) if character < " " else "\ufffd"


def _fitting(key: str) -> str:
    if len(key.encode()) > LONGEST_KEY:
        raise ValueError(f"A key has at most {LONGEST_KEY} bytes in UTF-8")
    return key


def _normal(key: str) -> str:
    made = key_of(key.split(KEY_SEPARATOR))
    if not made.strip(KEY_SEPARATOR):
        raise ValueError("A key is not empty")
    if LINE_END.search(made):
        raise ValueError("A key has no end of a line in it")
    return made


ItemKey = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_KEY, pattern=STORABLE), AfterValidator(_fitting)
]
"""What an item is called within its collection."""
NewKey = Annotated[ItemKey, AfterValidator(_normal), AfterValidator(_fitting)]
"""The same, of an item that may be new."""

HELD = frozenset({ItemState.LEASED, ItemState.RUNNING})
FINISHED = frozenset({ItemState.COMPLETED, ItemState.MISSING, ItemState.FAILED})

_A, _L, _R, _C, _M, _F = ItemState

MOVES: frozenset[tuple[ItemState, ItemState]] = frozenset(
    {
        (_A, _L),
        (_A, _A),  # looked for in vain by somebody who holds it no longer
        (_A, _C),  # it was done elsewhere, or late
        (_A, _M),
        (_A, _F),
        (_L, _R),
        (_L, _C),
        (_L, _M),
        (_L, _F),
        (_L, _A),  # given back, or expired
        (_R, _C),
        (_R, _M),
        (_R, _F),
        (_R, _A),
        (_F, _L),  # tried again
        (_F, _A),
        (_F, _C),
        (_F, _M),
        (_M, _A),
        (_C, _A),
    }
)


class Ordering(StrEnum):
    """Which item is handed out next: any, or the first to come."""

    RANDOM = "random"
    ARRIVAL = "arrival"
