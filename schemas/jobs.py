"""Bodies about jobs: what is asked for, and what is answered."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from schemas.fields import Strict
from schemas.moments import Moment
from schemas.states import JobState

Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class JobRequest(Strict):
    """Run one job."""

    kind: str = Field(max_length=100, description="What to do; `GET /v1/kinds` lists them.", examples=["split.video"])
    params: dict[str, Any] = Field(default_factory=dict, description="The parameters of that kind.")
    key: Key | None = Field(
        None, description="At most one live job of a kind has this key; asking again gives that job."
    )
    priority: int = Field(0, ge=0, le=9)
    run_at: Moment | None = Field(None, description="Not before this time.")
    id: UUID | None = Field(None, description="The job's id, if you choose it; asking again gives the same job.")
    concurrency_key: Key | None = Field(
        None,
        description="Of a kind's jobs with this key only so many run at once: one, unless the kind says more.",
    )
    after: list[UUID] = Field(default=[], max_length=1000, description="Jobs that must have ended before.")
    after_failure: Literal["cancel", "run"] = Field(
        "cancel", description="What becomes of this job when one of those does not succeed."
    )


class InputView(BaseModel):
    """A file that a job reads."""

    param: str
    sha256: str


class ErrorView(BaseModel):
    """Why the latest attempt did not succeed."""

    code: str
    message: str


class JobSummary(BaseModel):
    """A job in a list."""

    id: UUID
    kind: str
    state: JobState
    progress: float = Field(description="0 to 100; never goes back.")
    attempt: int
    max_attempts: int
    submitted_by: str
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobView(JobSummary):
    """One job, whole."""

    params: dict[str, Any]
    priority: int
    key: str | None
    concurrency_key: str | None
    held: Literal["paused", "concurrency", "rate"] | None = Field(description="Why it is not started, while queued.")
    waiting: bool = Field(description="For the end of other jobs.")
    via: str
    parent_id: UUID | None
    traceparent: str | None
    worker: str | None
    inputs: list[InputView]
    result: dict[str, Any] | None
    error: ErrorView | None
    cancel_requested_at: datetime | None
    links: dict[str, str]


class JobPage(BaseModel):
    """Jobs, newest first. `next` is the cursor of the following page, if there is one."""

    jobs: list[JobSummary]
    next: str | None


class FactView(BaseModel):
    """One fact about a job."""

    seq: int | None = Field(description="Its number among all facts; null for a moment, until it has one.")
    id: int
    type: str
    occurred_at: datetime
    data: dict[str, Any]


class Timeline(BaseModel):
    """What happened to a job, oldest first."""

    events: list[FactView]


class OutputView(BaseModel):
    """Something a succeeded job made."""

    name: str
    sha256: str
    sha1: str
    size: int = Field(description="Bytes.")
    content_type: str
    href: str


class OutputPage(BaseModel):
    """Outputs by name."""

    outputs: list[OutputView]
    next: str | None


class ProblemView(BaseModel):
    """An RFC 9457 problem. More fields may stand beside these."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    trace_id: str | None = None
