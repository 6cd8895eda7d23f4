"""Bodies about resumable uploads (tus 1.0)."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class UploadedFile(BaseModel):
    """What came of an upload."""

    sha256: str
    href: str


class ResumableView(BaseModel):
    """An upload under way, or just complete."""

    id: UUID
    name: str
    content_type: str
    size: int = Field(description="Bytes of the whole.")
    received: int = Field(description="Bytes that are here: where to go on.")
    expires_at: datetime = Field(description="When it is given up, unless more comes before.")
    file: UploadedFile | None = Field(description="Once everything is here.")
