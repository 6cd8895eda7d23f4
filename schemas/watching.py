"""Answers about what works now: workers and queues."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class BusyWorker(BaseModel):
    """A worker that holds jobs."""

    worker: str
    consumer: str
    jobs: int
    ids: list[UUID] = Field(description="Some of the jobs, the longest first.")
    since: datetime = Field(description="When it began with the longest.")
    lease_until: datetime
    silent: bool = Field(description="It has not renewed its claims; its jobs go to others.")


class ItemWorker(BaseModel):
    """A worker that holds items under lease."""

    worker: str
    owner: str = Field(description="The token that it has.")
    collections: list[str]
    items: int
    leases: int
    since: datetime
    expires_at: datetime
    silent: bool


class LateWorker(BaseModel):
    """What a worker has ended within the hour."""

    worker: str
    succeeded: int
    failed: int
    last_at: datetime


class WorkerList(BaseModel):
    """Workers by what they hold; those that hold nothing show by what they have ended."""

    busy: list[BusyWorker]
    holding: list[ItemWorker]
    lately: list[LateWorker]


class QueueView(BaseModel):
    """What waits for a consumer. `queued` and `running` are the leader's last count."""

    name: str
    consumer: str
    kinds: list[str]
    queued: int
    running: int
    counted_at: datetime | None
    oldest_seconds: float | None = Field(description="How long a job has waited there; null when none waits.")


class QueueList(BaseModel):
    """A queue for each consumer."""

    queues: list[QueueView]
