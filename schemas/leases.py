"""What is said about leases: requests to the dispatcher, over HTTP or AMQP, and what it answers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, model_validator

from schemas.fetching import Candidate
from schemas.fields import STORABLE, StorableObject, Strict
from schemas.items import ItemKey, ItemState

MOST_ITEMS = 1000
MOST_RESULTS = 10_000
MOST_CANDIDATES = 1000
LONGEST_TTL = 60 * 24 * 3600.0
LONGEST_REQUEST_ID = 200

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Partition = Annotated[str, StringConstraints(max_length=200, pattern=STORABLE)]
Worker = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=STORABLE)]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_REQUEST_ID, pattern=STORABLE)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_TTL, allow_inf_nan=False)]
Reported = Literal["completed", "missing", "failed", "nacked", "available", "running"]


class Taking(Strict):
    """How many items, for how long, of which partition."""

    count: int = Field(1, ge=1, le=MOST_ITEMS)
    ttl: Seconds | None = Field(None, description="Seconds; the collection's by default.")
    partition: Partition | None = Field(None, description="Any, if left out.")


class LeaseRequest(Taking):
    """Take items."""

    worker: Worker = Field("worker", description="Who takes them, for people who look.")


class Result(Strict):
    """What became of one item. `nacked`: looked for and not found, offered again until that was said often enough.

    `found`: it can be had at these hosts, and is completed; a task to fetch it is made for each, once for all items.
    """

    key: ItemKey
    state: Reported | Literal["found"]
    error_code: str | None = Field(None, max_length=100, pattern=STORABLE)
    error: str | None = Field(None, max_length=4000, pattern=STORABLE)
    result: StorableObject | None = None
    candidates: list[Candidate] = Field(default=[], max_length=MOST_CANDIDATES, description="Where it was found.")

    @model_validator(mode="after")
    def _found_somewhere(self) -> "Result":
        if (self.state == "found") != bool(self.candidates):
            raise ValueError("what is found has candidates, and nothing else has")
        return self


class Submission(Strict):
    """Results of some items of a lease, or `completed: all`; with `next` the following items come in the same step."""

    results: list[Result] = Field(default=[], max_length=MOST_RESULTS)
    completed: Literal["all"] | None = Field(None, description="Every item that is still held is done.")
    next: Taking | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Submission":
        if bool(self.results) == (self.completed is not None):
            raise ValueError("give either results or completed")
        return self


class Extension(Strict):
    """Hold a lease for so many seconds from now on; by default as long as at first."""

    ttl: Seconds | None = None


class Giving(Strict):
    """Give items of a lease back, uncharged; all that it still holds if none is named."""

    keys: list[ItemKey] = Field(default=[], max_length=MOST_RESULTS)


class Moves(Strict):
    """Set the states of items, by hand and without a lease."""

    moves: list[Result] = Field(min_length=1, max_length=MOST_RESULTS)
    atomic: bool = Field(False, description="All of them, or none: 404 or 409 when one is refused.")


class _Order(Strict):
    collection: Name
    owner: str = Field("amqp", max_length=200, pattern=STORABLE)


class Acquire(_Order, LeaseRequest):
    """Take items. The same `request_id` again gives the same lease."""

    op: Literal["acquire"]
    request_id: RequestId | None = None


class Extend(_Order, Extension):
    """Hold a lease for longer."""

    op: Literal["extend"]
    lease: UUID


class Release(_Order, Giving):
    """Give items back."""

    op: Literal["release"]
    lease: UUID


class Submit(_Order, Submission):
    """Say what became of items, and take the next ones."""

    op: Literal["submit"]
    lease: UUID
    request_id: RequestId | None = Field(None, description="Of the lease that `next` takes.")


class Move(_Order, Moves):
    """Set states by hand. `override`: also of items that somebody else holds."""

    op: Literal["move"]
    override: bool = False


class Abandon(_Order):
    """Nobody waits for the answer to a request any longer: what it took goes back."""

    op: Literal["abandon"]
    request_id: RequestId


class Drop(_Order):
    """What came out of a collection's queue was returned, or has expired there. `charged`: it counts an attempt."""

    op: Literal["drop"]
    lease: UUID
    charged: bool = True


Order = Acquire | Extend | Release | Submit | Move | Abandon | Drop
ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="op")])


class Item(BaseModel):
    """An item as a worker gets it."""

    key: str
    partition: str
    attempt: int
    attributes: dict[str, Any]


class LeaseView(BaseModel):
    """Items that are the caller's until `expires_at`. Without items there is no lease, and a time to come again."""

    lease: UUID | None
    collection: str
    worker: str
    expires_at: datetime | None
    renew_seconds: float | None = Field(description="Extend after so long, if it is still worked on.")
    retry_seconds: float | None = Field(description="Nothing is there; something may be then.")
    items: list[Item]


class Verdict(BaseModel):
    """What became of one reported item."""

    key: str
    outcome: Literal["done", "unchanged", "refused"]
    state: ItemState | None
    code: str | None = Field(None, description="Why it was refused: unknown_item, held_by_another, illegal_move.")
    tasks: list[int] = Field(default=[], description="The fetch tasks of what was found.")


class SubmissionView(BaseModel):
    """What became of each item, what the lease still holds, and the next one."""

    lease: UUID
    open: int
    done: int
    refused: int
    results: list[Verdict]
    next: LeaseView | None


class ExtensionView(BaseModel):
    """Until when a lease is held."""

    lease: UUID
    open: int
    expires_at: datetime


class MovesView(BaseModel):
    """What became of each item."""

    updated: int
    unknown: list[str]
    rejected: list[Verdict]
    unchanged: int
    results: list[Verdict] = Field(default=[], description="Every item, if all or none was asked for.")
