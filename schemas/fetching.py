"""What is said about fetch tasks: things at hosts that somebody looks for, taken under leases, filled or given up."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from schemas.fields import Strict
from schemas.hosts import Host
from schemas.items import ItemState

MOST_TASKS = 1000
MOST_REPORTS = 10_000


class FetchState(StrEnum):
    """One vocabulary. What is unavailable may be opened again."""

    OPEN = "open"
    LEASED = "leased"
    FILLED = "filled"
    UNAVAILABLE = "unavailable"


def _text(given: Any) -> Any:
    """Old hosts count their things: a whole number is as good as its digits."""
    return str(given) if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else given


PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
ExternalId = Annotated[
    str,
    BeforeValidator(_text, json_schema_input_type=str | int),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=PRINTABLE),
]
Location = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=PRINTABLE)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=PRINTABLE)]
TaskId = Annotated[int, Field(ge=1, lt=2**63)]


class Candidate(Strict):
    """Where an item may be had: a thing at a host, by the host's own id."""

    host: Host
    external_id: ExternalId


class FetchLeaseRequest(Strict):
    """Take tasks of one host."""

    host: Host
    count: int = Field(1, ge=1, le=MOST_TASKS)
    ttl: Annotated[float, Field(gt=0, le=60 * 24 * 3600.0, allow_inf_nan=False)] | None = Field(
        None, description="Seconds; `REELMILL_FETCH_SECONDS` (14 days) by default."
    )
    worker: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)] = Field(
        "worker", description="Who takes them, for people who look."
    )


class LeasedTask(BaseModel):
    """A task as a worker gets it."""

    id: int
    external_id: str
    attempt: int


class FetchLeaseView(BaseModel):
    """Tasks that are the caller's until `expires_at`. Without tasks there is no lease."""

    lease: UUID | None
    host: str
    worker: str
    expires_at: datetime | None
    tasks: list[LeasedTask]


class FetchExtension(Strict):
    """Hold tasks for so many seconds from now on; by default as long as at first."""

    ttl: Annotated[float, Field(gt=0, le=60 * 24 * 3600.0, allow_inf_nan=False)] | None = None


class FetchExtensionView(BaseModel):
    """Until when a lease is held."""

    lease: UUID
    open: int
    expires_at: datetime


class FetchGiving(Strict):
    """Give tasks of a lease back; all that it still holds if none is named."""

    tasks: list[TaskId] = Field(default=[], max_length=MOST_REPORTS)


class FetchReleaseView(BaseModel):
    """How many tasks were given back."""

    released: int


class Filled(Strict):
    """A task's content lies there."""

    task: TaskId
    location: Location


class Unavailable(Strict):
    """A task's content cannot be had."""

    task: TaskId
    reason: Reason


class GivenUp(Strict):
    """Why a task's content cannot be had."""

    reason: Reason


class FetchReport(Strict):
    """What became of tasks, each named once: all of it counts, or nothing."""

    filled: list[Filled] = Field(default=[], max_length=MOST_REPORTS)
    unavailable: list[Unavailable] = Field(default=[], max_length=MOST_REPORTS)
    lease: UUID | None = Field(None, description="The lease that they were taken under.")

    @model_validator(mode="after")
    def _each_once(self) -> "FetchReport":
        named = [each.task for each in self.filled] + [each.task for each in self.unavailable]
        if not named or len(set(named)) < len(named):
            raise ValueError("name at least one task, and each once")
        return self


class FetchVerdict(BaseModel):
    """What became of one reported task."""

    task: int
    outcome: Literal["done", "unchanged", "refused"]
    state: FetchState | None
    code: str | None = Field(None, description="Why it was refused: unknown_task, held_by_another, finished.")


class FetchReportView(BaseModel):
    """What became of each task."""

    results: list[FetchVerdict]


class FetchSummary(BaseModel):
    """A task in a list."""

    id: int
    host: str
    external_id: str
    state: FetchState
    owner: str | None
    worker: str | None
    attempt: int
    leased_at: datetime | None
    expires_at: datetime | None
    location: str | None
    reason: str | None
    updated_by: str
    updated_at: datetime
    revision: int


class FetchPage(BaseModel):
    """Tasks by id. `next` is the cursor of the following page, if there is one."""

    tasks: list[FetchSummary]
    next: str | None


class Wanting(BaseModel):
    """An item that asked for a task."""

    collection: str
    key: str
    state: ItemState
    found_by: str
    found_at: datetime


class FetchVersion(BaseModel):
    """What a task was at some time."""

    state: FetchState
    lease: UUID | None
    owner: str | None
    worker: str | None
    leased_at: datetime | None
    expires_at: datetime | None
    location: str | None
    reason: str | None
    by: str
    at: datetime
    revision: int


class FetchTaskView(FetchSummary):
    """A task, whole: which items asked for it, and all that it has been, the present last."""

    lease: UUID | None
    created_by: str
    created_at: datetime
    items: list[Wanting]
    history: list[FetchVersion]


class HostStats(BaseModel):
    """The tasks of one host. `stale`: a lease over them has run out, and nobody has taken them again."""

    host: str
    open: int
    active: int
    stale: int
    filled: int
    unavailable: int
    total: int
    oldest_lease: datetime | None


class FetchStats(BaseModel):
    """How far an inventory is, and the tasks that came of it, all of one moment."""

    collection: str
    items: int
    by_state: dict[ItemState, int]
    active: int = Field(description="Items under a lease that holds.")
    stale: int = Field(description="Items whose last lease ran out.")
    nacked: int = Field(description="Items that somebody has looked for in vain, and nobody has found since.")
    oldest_lease: datetime | None
    tasks: int
    filled: int
    hosts: list[HostStats]
