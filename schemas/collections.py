"""Bodies about collections and their items."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.fetching import FetchState
from schemas.fields import JsonObject, Strict
from schemas.items import ItemState, NewKey, Ordering
from schemas.leases import Name, Partition, Seconds

MOST_NEW = 10_000


class CollectionName(Strict):
    """What a collection may be called, wherever it is said: in an address or a form."""

    name: Name


class CollectionRequest(Strict):
    """The rules of a collection."""

    ordering: Ordering = Field(Ordering.RANDOM, description="Which item comes next; it stays as it was at first.")
    ttl: Seconds = Field(3600, description="Seconds that a lease holds, unless its request says otherwise.")
    max_attempts: int = Field(5, ge=1, le=1000, description="An item that has failed so often is not offered again.")
    retry_seconds: float = Field(
        60, ge=0, le=86_400, allow_inf_nan=False, description="Before the second attempt; it doubles with every one."
    )
    per_worker: int | None = Field(None, ge=1, description="Items that one worker may hold at a time.")
    push: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="So many items are kept in the queue `reelmill.items.<collection>`, for those who do not ask.",
    )


class CollectionView(BaseModel):
    """A collection, its rules, and how many of its items are in which state."""

    name: str
    ordering: Ordering
    ttl: float
    max_attempts: int
    retry_seconds: float
    per_worker: int | None
    push: int | None
    created_by: str
    created_at: datetime
    counts: dict[ItemState, int]
    total: int


class CollectionSummary(BaseModel):
    """A collection in a list."""

    name: str
    ordering: Ordering
    created_by: str
    created_at: datetime


class CollectionPage(BaseModel):
    """Collections by name. `next` is the cursor of the following page, if there is one."""

    collections: list[CollectionSummary]
    next: str | None


class NewItemRequest(Strict):
    """An item to add, or whose attributes to renew."""

    key: NewKey
    partition: Partition = ""
    attributes: JsonObject = Field(default_factory=dict)


class NewItems(Strict):
    """A few items; many come as a file, with the job `items.import`."""

    items: list[NewItemRequest] = Field(min_length=1, max_length=MOST_NEW)


class Added(BaseModel):
    """What became of them."""

    inserted: int
    updated: int
    unchanged: int
    duplicate: int


class Counts(BaseModel):
    """How many items are in which state, all of one moment."""

    total: int
    by_state: dict[ItemState, int]
    by_partition: dict[str, dict[ItemState, int]]


class ItemSummary(BaseModel):
    """An item in a list."""

    key: str
    partition: str
    state: ItemState
    attempt: int
    attributes: dict[str, Any]
    error_code: str | None
    error: str | None
    ready_at: datetime | None = Field(description="From then on it is offered.")


class ItemPage(BaseModel):
    """Items. `next` is the cursor of the following page, if there is one."""

    items: list[ItemSummary]
    next: str | None


class ItemMove(BaseModel):
    """One move of an item: when, from what to what, by whom, under which lease."""

    at: datetime
    before: ItemState
    state: ItemState
    attempt: int
    lease: UUID | None
    owner: str | None = Field(description="Whose lease it was: the name of a token.")
    by: str = Field(description="Who made the move, as he is called: a worker, or whoever set it by hand.")
    error_code: str | None
    error: str | None


class FoundAt(BaseModel):
    """Where an item was found, and how far the fetching is."""

    task: int
    host: str
    external_id: str
    state: FetchState
    location: str | None


class ItemView(ItemSummary):
    """An item, whole."""

    lease: UUID | None
    owner: str | None
    worker: str | None
    expires_at: datetime | None
    nacks: int = Field(description="How often it was looked for in vain; `max_attempts` times are the end.")
    nacked_at: datetime | None = Field(description="When it was looked for in vain last.")
    result: dict[str, Any] | None
    history: list[ItemMove]
    found: list[FoundAt]


class WorkerScore(BaseModel):
    """What one worker has done."""

    worker: str
    taken: int = 0
    completed: int = 0
    missing: int = 0
    failed: int = 0
    nacked: int = 0
    returned: int = 0
    expired: int = 0


class Leaderboard(BaseModel):
    """Workers, those with the most completed items first."""

    workers: list[WorkerScore]


class OldLeases(Strict):
    """Which leases to end: those that were taken so long ago."""

    older_than: float = Field(ge=0, le=10 * 366 * 86400, description="Seconds since they were taken.")


class Released(BaseModel):
    """What was given back. More may be left when `leases` is 500: ask again."""

    leases: int
    items: int
