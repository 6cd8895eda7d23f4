"""A message as it came out of a queue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)  # not frozen: one is made per message, and that would cost three times as much
class Delivery:
    """A message as it came. `tag` has a meaning only within its incarnation of the channel."""

    body: bytes
    routing_key: str
    properties: Mapping[str, Any]
    headers: Mapping[str, Any]
    redelivered: bool = False
    incarnation: int = field(default=0, compare=False)
    tag: int = field(default=0, compare=False)
