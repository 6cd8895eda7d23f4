"""Bodies about kinds: what can be asked for, and what an operator says about it."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from schemas.fields import Strict

MOST = 1_000_000


class KindView(BaseModel):
    """A kind of job: its rules, what an operator has said, and the JSON Schema of its parameters."""

    name: str
    summary: str
    consumer: str
    lane: str
    version: int
    max_attempts: int
    first_retry_seconds: float = Field(description="Before the second attempt; it doubles with every one.")
    longest_retry_seconds: float
    wall_seconds: int
    paused: bool = Field(description="No job of it starts.")
    concurrency: int | None = Field(description="Jobs that run at once.")
    per_key: int = Field(description="Jobs with one concurrency key that run at once.")
    starts_per_second: float | None
    changed_by: str | None = Field(description="Who has said something about it last.")
    changed_at: datetime | None
    params_schema: dict[str, Any]


class KindList(BaseModel):
    """All kinds."""

    kinds: list[KindView]


class KindLimits(Strict):
    """Limits to change; null gives one back to the registry, and what is left out stays."""

    concurrency: int | None = Field(None, ge=1, le=MOST)
    per_key: int | None = Field(None, ge=1, le=MOST)
    starts_per_second: float | None = Field(None, gt=0, le=MOST, allow_inf_nan=False)
