"""Bodies about parked messages: those that nobody could process, and what becomes of them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator

from schemas.fields import Strict

MOST = 1000
"""Messages that one request may change."""
ParkedId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Word = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
RoutingKey = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


class ParkedSummary(BaseModel):
    """A parked message in a list."""

    id: int
    queue: str = Field(description="The queue that it was in; `reelmill.unroutable` when none was bound for it.")
    routing_key: str
    code: str = Field(description="Why it is here, for machines.")
    detail: str = Field(description="Why it is here, for people.")
    fingerprint: str = Field(description="Equal for messages with the same cause.")
    message_id: str | None
    job_id: UUID | None = Field(description="The job that it was to wake up, if nobody could take it.")
    size: int = Field(description="Bytes of the body.")
    parked_at: datetime
    resolution: Literal["replayed", "discarded"] | None
    resolved_at: datetime | None
    resolved_by: str | None


class ParkedView(ParkedSummary):
    """A parked message, whole."""

    body: str = Field(description="As text, or in base64 where it is no UTF-8. A long body is cut.")
    encoding: Literal["utf-8", "base64"]
    shown: int = Field(description="Bytes of the body that are in this answer.")
    properties: dict[str, Any]
    headers: dict[str, Any]


class ParkedPage(BaseModel):
    """Parked messages, newest first. `next` is the cursor of the following page, if there is one."""

    messages: list[ParkedSummary]
    next: str | None


class ParkedGroup(BaseModel):
    """Open messages with one cause. The newest of them is the example."""

    fingerprint: str
    code: str
    queue: str
    routing_key: str
    detail: str
    example: int
    count: int
    more: bool = Field(description="There are more than were counted.")
    first_at: datetime
    last_at: datetime


class ParkedGroups(BaseModel):
    """Causes, by fingerprint. `next` is the cursor of the following page, if there is one."""

    groups: list[ParkedGroup]
    next: str | None


class Replay(Strict):
    """Send a message again, as it came or changed."""

    body: str | None = Field(None, description="Another body, as text.")
    routing_key: RoutingKey | None = Field(None, description="Another routing key.")


class ParkedSelection(Strict):
    """Which open messages, the newest first: by their ids, or by at least one of the other fields."""

    fingerprint: Word | None = None
    code: Word | None = None
    queue: Word | None = None
    ids: list[ParkedId] | None = Field(None, min_length=1, max_length=MOST)
    limit: int = Field(MOST, ge=1, le=MOST)
    dry_run: bool = Field(False, description="Only say which they are.")

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        by_cause = any(field is not None for field in (self.fingerprint, self.code, self.queue))
        if by_cause is (self.ids is not None):
            raise ValueError("say which: by ids, or else by fingerprint, code or queue")
        return self


class ParkedOutcome(BaseModel):
    """What became of one message: `replayed`, `discarded`, `selected` in a dry run, or why nothing did."""

    id: int
    outcome: str


class ParkedReport(BaseModel):
    """What became of each message."""

    dry_run: bool
    items: list[ParkedOutcome]
    counts: dict[str, int] = Field(description="Items by outcome.")
    more: bool = Field(description="More open messages fit than were looked at.")
