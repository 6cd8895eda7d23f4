"""Field types that several bodies share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

FileReference = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{4,64}$", to_lower=True),
]
"""A file: its SHA-256, its SHA-1, or an unambiguous prefix of either (4 to 64 hex digits)."""


STORABLE = r"^[^\x00]*$"
"""What the database can keep as text: anything without a NUL."""


class Strict(BaseModel):
    """A body or a set of parameters: frozen, and unknown fields are refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
