"""Field types that several bodies share."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

FileReference = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{4,64}$", to_lower=True),
]
"""A file: its SHA-256, its SHA-1, or an unambiguous prefix of either (4 to 64 hex digits)."""


STORABLE = r"^[^\x00]*$"
"""What the database can keep as text: anything without a NUL."""


DEEPEST = 100
"""So deep may a free JSON document be: twice as deep, libraries begin to refuse it."""


def _not_too_deep(document: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return document
    raise ValueError(f"It is nested more than {DEEPEST} deep")


def _without_nul(document: dict[str, Any]) -> dict[str, Any]:
    left: list[Any] = [document]
    while left:
        value = left.pop()
        texts = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
        if any("\0" in text for text in texts):
            raise ValueError("A text in it has a NUL")
        left += _inside(value)
    return document


def _inside(value: Any) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


JsonObject = Annotated[dict[str, Any], AfterValidator(_not_too_deep)]
"""A free JSON object, kept as text."""
StorableObject = Annotated[JsonObject, AfterValidator(_without_nul)]
"""A free JSON object that the database can look into."""


class Strict(BaseModel):
    """A body or a set of parameters: frozen, and unknown fields are refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
