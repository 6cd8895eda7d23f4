"""Facts as their readers see them: which there are, how to say which ones are wanted, and how they look.

A pattern is one of a topic exchange: words between dots, `*` for one word, `#` for any number of words.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

MOST_PATTERNS = 20
WORD = r"(?:[A-Za-z0-9_-]+|[*#])"
PATTERN = re.compile(rf"{WORD}(?:\.{WORD}){{0,9}}")
MEANT = "a pattern is up to ten words between dots, * for one word and # for any number: job.split.video.*, file.#"
PARTS = {"*": r"[^.]+\.", "#": r"(?:[^.]+\.)*"}


def pattern(text: str) -> str:
    """Check one pattern. Raises ValueError."""
    if PATTERN.fullmatch(text) is None:
        raise ValueError(MEANT)
    return text


Pattern = Annotated[str, AfterValidator(pattern)]


def expression(patterns: Sequence[str]) -> str | None:
    """A regular expression, for Python and Postgres alike, for a type with a dot behind it. None: every type."""
    if not patterns or "#" in patterns:
        return None
    return "^(?:" + "|".join(sorted({_parts(each) for each in patterns})) + ")$"


def matches(wanted: str | None, kind: str) -> bool:
    """Whether a type is among those that an expression wants."""
    return wanted is None or re.search(wanted, f"{kind}.") is not None


def _parts(text: str) -> str:
    words = text.split(".")
    kept = [word for n, word in enumerate(words) if word != "#" or words[n - 1 : n] != ["#"]]
    return "".join(PARTS.get(word, rf"{word}\.") for word in kept)


class EventView(BaseModel):
    """One fact."""

    seq: int = Field(description="Its number: no gaps, never goes back.")
    id: int
    type: str
    occurred_at: datetime
    job_id: UUID | None
    traceparent: str | None
    data: dict[str, Any]


class ChangePage(BaseModel):
    """Facts by number. `next` is what to send as `since` for those that follow; `more` when some are there already."""

    changes: list[EventView]
    next: int
    more: bool


class OutputFact(BaseModel):
    """One of the outputs of a job."""

    name: str
    sha256: str
    size: int = Field(description="Bytes.")
    content_type: str


class ArtifactsCreated(BaseModel):
    """A job has succeeded and shows its outputs: one fact for all of them, however many there are."""

    kind: str
    count: int
    bytes: int
    outputs: list[OutputFact] = Field(description="The first of them; all are at `GET /v1/jobs/{job_id}/outputs`.")


class FileFact(BaseModel):
    """An uploaded file came or went."""

    sha256: str
    sha1: str
    size: int = Field(description="Bytes.")
    name: str
    content_type: str
    created_by: str


class KindFact(BaseModel):
    """An operator has stopped a kind of job, or has let it go on."""

    kind: str
    by: str


class WebhookFact(BaseModel):
    """A webhook was tried out, or given up because its endpoint is gone or has been failing for days."""

    webhook_id: UUID
    reason: str | None = None


#: The facts beside those of the jobs' moves.
FACTS: dict[str, type[BaseModel]] = {
    "artifact.created": ArtifactsCreated,
    "file.created": FileFact,
    "file.deleted": FileFact,
    "kind.paused": KindFact,
    "kind.resumed": KindFact,
    "webhook.test": WebhookFact,
    "webhook.disabled": WebhookFact,
}
