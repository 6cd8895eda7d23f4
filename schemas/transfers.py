"""Bodies about direct transfers: bytes that go from the caller straight to the object store."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from schemas.fields import Strict

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]


class TransferView(BaseModel):
    """Where to PUT the bytes, without any token, until when; and what to call afterwards."""

    id: UUID
    method: str
    url: str
    expires_at: datetime
    links: dict[str, str]


class Completion(Strict):
    """What was put there. The file counts once the bytes have been found to have this hash."""

    sha256: Sha256 = Field(description="Of the bytes, as the caller knows it.")
    name: str | None = Field(None, max_length=1000, description="The file's name.")
    content_type: str | None = Field(None, max_length=200, description="Its media type; by its name if absent.")
