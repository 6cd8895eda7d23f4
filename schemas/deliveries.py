"""Deliveries: content that somebody says is there, checked file by file against the manifests that are known."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from schemas.fetching import ExternalId, Location
from schemas.fields import Strict
from schemas.hosts import Host
from schemas.manifests import Files, Listing, clean, listing

PREFIX = "incoming/"
"""Where those who have the store's credentials put content by themselves. Nothing else of the bucket can be named."""
SHOWN_FILES = 20
SHOWN_MANIFESTS = 100


class Outcome(StrEnum):
    """What a check has found. Only `matched` fills tasks."""

    MATCHED = "matched"
    PARTIAL = "partial"
    """Files are missing; those that are there are right."""
    MISMATCH = "mismatch"
    """A file is not what the manifest says, or one is there that must not be."""
    UNKNOWN = "unknown"
    """No manifest has a directory of this name."""
    AMBIGUOUS = "ambiguous"
    """Manifests of different lists fit equally well."""


class Extra(StrEnum):
    """What becomes of files that the manifest does not list."""

    IGNORE = "ignore"
    REFUSE = "refuse"


class CheckDelivery(Strict):
    """Check a delivery against the manifests, and fill the tasks of those that it matches."""

    delivery: UUID


class DeliveryRequest(Strict):
    """Content that is there: under a prefix of the object store, or anywhere else with a list of its files.

    The last part of its place is the name of the directory that manifests are looked up by.
    """

    prefix: str | None = Field(
        None, max_length=1024, description=f"Objects to be looked at, below `{PREFIX}`: `{PREFIX}<directory>/`."
    )
    location: Location | None = Field(
        None, description="A place that only the sender can see; `files` says what is there."
    )
    files: Files | None = Field(None, description="What lies at `location`, relative to it.")
    extra: Extra = Field(Extra.IGNORE, description="Whether files that no manifest lists may be there.")

    @model_validator(mode="after")
    def _one_place(self) -> "DeliveryRequest":
        if (self.prefix is None) == (self.location is None):
            raise ValueError("give either a prefix or a location")
        if (self.location is None) != (self.files is None):
            raise ValueError("files belong to a location; under a prefix they are looked for")
        self.directory  # noqa: B018 - raises
        self.listing  # noqa: B018 - raises
        return self

    @property
    def place(self) -> str:
        """Where the content lies; of a prefix without the slash at its end. Raises ValueError."""
        if self.prefix is None:
            assert self.location is not None
            return self.location.rstrip("/") or self.location
        place = clean(self.prefix.removesuffix("/"), entities=False)
        if not place.startswith(PREFIX):
            raise ValueError(f"a prefix begins with {PREFIX}")
        return place

    @property
    def directory(self) -> str:
        """The name by which manifests are looked up: the last part of the place. Raises ValueError."""
        return clean(self.place.replace("\\", "/").rpartition("/")[2], entities=False)

    @property
    def listing(self) -> Listing | None:
        """The files that the sender lists. Raises ValueError."""
        return listing(self.files, entities=False) if self.files is not None else None


class DeliveryOffer(Strict):
    """Upload the content of a task: an address for each file of its manifest."""

    host: Host
    external_id: ExternalId
    seconds: int = Field(24 * 3600, ge=60, le=7 * 24 * 3600, description="How long the addresses are good for.")


class FileAddress(BaseModel):
    """Where a file goes: PUT its bytes there, with no header but its length. The address is for this file only."""

    path: str
    size: int
    url: str


class DeliveryState(StrEnum):
    """How far a delivery is."""

    OPEN = "open"
    """Addresses were given out, and nobody has said that all is there."""
    CHECKING = "checking"
    CHECKED = "checked"
    FAILED = "failed"
    """The check itself broke; its job says why, and can be retried."""


class ComparedView(BaseModel):
    """One manifest against what is there. The lists show the first files only."""

    host: str
    external_id: str
    outcome: Outcome
    filled: bool = Field(description="Whether there is a task for it, which is filled with this by now.")
    code: str | None = Field(
        None, description="Why its task was not filled: finished, somebody else has filled it and it lies elsewhere."
    )
    missing: list[str]
    wrong: list[str]
    extra: list[str]
    counts: dict[Literal["missing", "wrong", "extra"], int]


class DeliveredView(BaseModel):
    """A delivery and what its check has found."""

    id: UUID
    location: str
    directory: str
    state: DeliveryState
    outcome: Outcome | None
    extra: Extra
    host: str | None
    external_id: str | None
    file_count: int | None
    compared: list[ComparedView]
    job_id: UUID | None
    created_by: str
    created_at: datetime
    checked_at: datetime | None
    error: dict[str, Any] | None = None


class DeliveryAddresses(BaseModel):
    """Addresses for the files of a task. When all are there: `POST {complete}`."""

    id: UUID
    files: list[FileAddress]
    expires_at: datetime
    complete: str


class DeliveredPage(BaseModel):
    """Deliveries, newest first. `next` is the cursor of the following page, if there is one."""

    deliveries: list[DeliveredView]
    next: str | None


class LocationView(BaseModel):
    """Where something lies."""

    host: str
    external_id: str
    location: str


class LocationList(BaseModel):
    """What lies where, by host and id."""

    locations: list[LocationView]
