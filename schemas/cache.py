"""What is said about the shared cache: values by space and key, each for a time."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, StringConstraints

DEFAULT_SECONDS = 7 * 24 * 3600
LONGEST_SECONDS = 366 * 24 * 3600
LARGEST_VALUE = 4 * 1024 * 1024
"""Bytes."""

CacheSpace = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\[][A-Za-z0-9._:\[\]-]{0,259}$")]
"""A name, or a host with its port."""
CacheKey = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]


class CachedView(BaseModel):
    """A value in the cache, without its bytes."""

    space: str
    key: str
    etag: str
    size: int
    content_type: str
    expires_at: datetime
    updated_by: str
    updated_at: datetime
