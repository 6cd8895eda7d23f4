"""Bodies about schedules: jobs that come again and again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.fields import Strict


class ScheduleRequest(Strict):
    """What to do, and when."""

    cron: str = Field(
        max_length=200,
        description="Five fields: minute, hour, day of the month, month, weekday.",
        examples=["0 6 * * 1-5"],
    )
    timezone: str = Field("UTC", max_length=100, description="Whose clock.", examples=["Europe/Berlin"])
    kind: str = Field(max_length=100, description="What to do; `GET /v1/kinds` lists them.")
    params: dict[str, Any] = Field(default_factory=dict, description="The parameters of that kind.")
    priority: int = Field(0, ge=0, le=9)
    overlap: bool = Field(False, description="Make a job although the one before still lives.")
    enabled: bool = True


class ScheduleView(BaseModel):
    """A schedule, and how it has gone."""

    name: str
    cron: str
    timezone: str
    kind: str
    params: dict[str, Any]
    priority: int
    overlap: bool
    enabled: bool
    next_at: datetime | None = Field(description="When it makes its next job; null while it is not enabled.")
    last_at: datetime | None = Field(description="Its latest time.")
    last_job_id: UUID | None
    skipped_at: datetime | None = Field(description="The latest time left out because the job before still lived.")
    error: str | None = Field(description="Why its latest time made no job.")
    created_by: str
    created_at: datetime


class SchedulePage(BaseModel):
    """Schedules by name. `next` is the cursor of the following page, if there is one."""

    schedules: list[ScheduleView]
    next: str | None
