"""Bodies about webhooks: where facts are sent to, and what became of each."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from schemas.events import MOST_PATTERNS, Pattern
from schemas.fields import Strict

MEANT = "a webhook goes to http(s)://host[:port]/path, without credentials in the address"


def _address(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(MEANT)
    try:
        parts = urlsplit(text)
        usable = parts.hostname and parts.port != 0  # reading the port raises for one that is none
    except ValueError:
        raise ValueError(MEANT) from None
    if parts.scheme not in {"http", "https"} or not usable or "@" in parts.netloc or parts.fragment:
        raise ValueError(MEANT)
    return text


Address = Annotated[str, Field(max_length=2000), AfterValidator(_address)]


class WebhookRequest(Strict):
    """Send facts to an address."""

    url: Address = Field(description="http or https.", examples=["https://example.org/reelmill"])
    types: list[Pattern] = Field(
        ["#"],
        min_length=1,
        max_length=MOST_PATTERNS,
        description="Which facts: patterns as on a topic exchange.",
        examples=[["job.#.succeeded", "artifact.*"]],
    )


class WebhookView(BaseModel):
    """A webhook. Its secret was shown once and is not shown again."""

    id: UUID
    url: str
    types: list[str]
    created_by: str
    created_at: datetime
    seen_seq: int = Field(description="Facts up to this number have been looked at.")
    failing_since: datetime | None = Field(description="No delivery has succeeded since.")
    disabled_at: datetime | None
    disabled_reason: str | None


class WebhookSecret(WebhookView):
    """A webhook and its new secret, for the library of Standard Webhooks on the other side."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class WebhookList(BaseModel):
    """All webhooks, oldest first."""

    webhooks: list[WebhookView]


class DeliveryView(BaseModel):
    """What became of one fact on its way to one webhook."""

    seq: int
    type: str | None = Field(description="Null when the fact itself is not kept any more.")
    state: str
    attempt: int = Field(description="Attempts made.")
    next_at: datetime | None = Field(description="When it is tried again.")
    status: int | None = Field(description="The HTTP status of the latest attempt.")
    error: str | None = Field(description="Why the latest attempt failed.")
    finished_at: datetime | None


class DeliveryPage(BaseModel):
    """Deliveries, newest first. `next` is the cursor of the following page, if there is one."""

    deliveries: list[DeliveryView]
    next: str | None
