"""Bodies with many jobs, and jobs as CloudEvents: what a line asks for, and what is answered to it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.commands import LONGEST_KEY
from schemas.jobs import JobRequest
from schemas.states import JobState

NDJSON = "application/x-ndjson"
EVENT = "application/cloudevents+json"
EVENTS = "application/cloudevents-batch+json"


class JobLine(JobRequest):
    """One job of many: a line of `application/x-ndjson`. It may wait for the jobs of earlier lines."""

    idempotency_key: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_KEY,
        description="Of this line; asking again with the same gives its job.",
    )


class Event(BaseModel):
    """A CloudEvent 1.0 in structured mode: `type` is the kind, `data` its parameters. Other attributes are ignored."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"]
    id: str = Field(min_length=1)
    source: Annotated[str, StringConstraints(pattern=r"^\S+$")] = Field(description="With `id`: the idempotency key.")
    type: str = Field(description="The kind of job.")
    data: dict[str, Any] = Field(default={}, description="The parameters of that kind.")
    data_base64: None = Field(None, description="Not taken: parameters are JSON.")
    datacontenttype: Annotated[str, StringConstraints(pattern=r"^application/(\S+\+)?json\b")] = "application/json"
    traceparent: str | None = None


class LineError(BaseModel):
    """Why a line made no job."""

    code: str
    message: str
    field: str | None = None


class LineView(BaseModel):
    """What became of one line: `id` and `state` of the job that it made or found, or why there is none."""

    line: int = Field(description="From 1, as the lines came.")
    status: Literal["created", "duplicate", "refused"]
    id: UUID | None = None
    state: JobState | None = None
    error: LineError | None = None
