"""What lines make: items, or a word about why not. Keys are trimmed and in NFC."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from schemas.items import KEY_SEPARATOR, LINE_END, LONGEST_KEY

LONGEST_PARTITION = 200


class Row(NamedTuple):
    """An item as a line has it. Attributes are JSON."""

    line: int
    key: str
    partition: str
    attributes: str


class Bad(NamedTuple):
    """A line that makes no item."""

    line: int
    reason: str


class Plain(NamedTuple):
    """Many items without anything odd about them, as lines for the database: line, key, partition, attributes."""

    text: str


Made = Sequence[Row | Bad] | Plain


def item(line: int, key: str, partition: str, attributes: dict[str, Any]) -> Row | Bad:
    """An item, unless something about it cannot be stored."""
    try:
        size = len(key) if key.isascii() else len(key.encode())
        if not key.strip(KEY_SEPARATOR):
            return Bad(line, "empty_key")
        if size > LONGEST_KEY:
            return Bad(line, "key_too_long")
        if len(partition) > LONGEST_PARTITION:
            return Bad(line, "partition_too_long")
        if "\0" in key or "\0" in partition or LINE_END.search(key):
            return Bad(line, "bad_character")
        partition.encode()
        return Row(line, key, partition, orjson.dumps(attributes).decode())
    except (UnicodeEncodeError, TypeError, orjson.JSONEncodeError):
        return Bad(line, "bad_character")
