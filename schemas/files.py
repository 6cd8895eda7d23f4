"""Bodies about files: one content each, whatever the names it was uploaded under."""

from datetime import datetime

from pydantic import BaseModel, Field


class FileSummary(BaseModel):
    """An uploaded file in a list."""

    file_id: str = Field(description="The SHA-1. Where an id is asked for, the SHA-256 or a prefix of either does too.")
    sha256: str
    sha1: str
    size: int = Field(description="Bytes.")
    name: str = Field(description="The name it was first uploaded under.")
    content_type: str = Field(description="As the uploader said; downloads are served with a harmless type.")
    created_at: datetime


class FileView(FileSummary):
    """One file, whole."""

    names: list[str] = Field(description="Every name it was uploaded under, oldest first; none for what a job made.")
    created_by: str | None = Field(description="Who uploaded it first; null for what a job made.")
    links: dict[str, str]


class FilePage(BaseModel):
    """Uploaded files, newest first. `next` is the cursor of the following page, if there is one."""

    files: list[FileSummary]
    next: str | None
