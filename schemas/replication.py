"""What deployments tell each other: things that they share, each as it is now, with a revision. Pure.

A thing goes out whole, so that a reader may come late and needs no history. Of two versions of one thing both sides
keep the same: what is finished (a filled task) goes before what is not, then the later revision, then, of two that were
made apart at the same revision, the one with the greater hash. Applying a version twice changes nothing.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import orjson
from pydantic import AwareDatetime, Base64Bytes, BaseModel, Field, model_validator

from schemas.cache import LARGEST_VALUE, CacheKey, CacheSpace
from schemas.fetching import PRINTABLE, ExternalId, Location, Reason
from schemas.fields import Strict
from schemas.hosts import Host
from schemas.items import ItemKey
from schemas.leases import Name
from schemas.manifests import LONGEST_PATH, MOST_FILES, ListedFile, clean, listing

MOST_CHANGES = 1000
BETWEEN = "\n"
"""Between the parts of a link's key; only the last part, the item's key, may hold one."""

Who = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
Entity = tuple[str, str, str]
Rank = tuple[bool, int, str]


class SharedManifest(Strict):
    """A manifest."""

    kind: Literal["manifest"]
    host: Host
    external_id: ExternalId
    directory: str = Field(min_length=1, max_length=LONGEST_PATH)
    files: list[ListedFile] = Field(min_length=1, max_length=MOST_FILES)
    location: Location | None
    updated_by: Who
    updated_at: AwareDatetime

    @model_validator(mode="after")
    def _is_clean(self) -> "SharedManifest":
        if clean(self.directory, entities=False) != self.directory or "/" in self.directory:
            raise ValueError("a directory is one name")
        if listing(self.files, entities=False).files != tuple(self.files):
            raise ValueError("files have clean paths, and are sorted by them")
        return self

    @property
    def place(self) -> tuple[str, str]:
        """Space and key."""
        return self.host, self.external_id


class SharedTask(Strict):
    """A fetch task. Who holds it is told to nobody: a leased one is open elsewhere."""

    kind: Literal["task"]
    host: Host
    external_id: ExternalId
    state: Literal["open", "filled", "unavailable"]
    location: Location | None
    reason: Reason | None
    by: Who | None = Field(description="Who has filled it or given it up.")

    @model_validator(mode="after")
    def _agrees(self) -> "SharedTask":
        if (self.state == "filled") != (self.location is not None):
            raise ValueError("what is filled, and nothing else, has a location")
        if (self.state == "unavailable") != (self.reason is not None):
            raise ValueError("what is unavailable, and nothing else, has a reason")
        if (self.state == "open") != (self.by is None):
            raise ValueError("what is not open, and nothing else, is by somebody")
        return self

    @property
    def place(self) -> tuple[str, str]:
        """Space and key."""
        return self.host, self.external_id


class SharedLink(Strict):
    """An item that asked for a task. Links are only ever added."""

    kind: Literal["link"]
    host: Host
    external_id: ExternalId
    collection: Name
    item: ItemKey = Field(pattern=r"^[^\x00]+$")

    @property
    def place(self) -> tuple[str, str]:
        """Space and key."""
        return self.host, BETWEEN.join((self.external_id, self.collection, self.item))


class SharedValue(Strict):
    """A value of the shared cache. One that was taken away has expired."""

    kind: Literal["cache"]
    space: CacheSpace
    key: CacheKey
    value: Base64Bytes = Field(max_length=2 * LARGEST_VALUE)
    content_type: str = Field(min_length=1, max_length=300, pattern=PRINTABLE)
    expires_at: AwareDatetime
    updated_by: Who
    updated_at: AwareDatetime

    @property
    def place(self) -> tuple[str, str]:
        """Space and key."""
        return self.space, self.key


Thing = Annotated[SharedManifest | SharedTask | SharedLink | SharedValue, Field(discriminator="kind")]


class Change(Strict):
    """A thing as it is, and how often it has changed."""

    revision: int = Field(ge=1, lt=2**62)
    thing: Thing

    @property
    def entity(self) -> Entity:
        """What names it on every deployment."""
        return (self.thing.kind, *self.thing.place)

    @property
    def rank(self) -> Rank:
        """The greater one is kept. Equal for equal versions only."""
        finished = isinstance(self.thing, SharedTask) and self.thing.state == "filled"
        plain = orjson.dumps(self.thing.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return finished, self.revision, hashlib.sha256(plain).hexdigest()


class NumberedChange(Change):
    """A change in the feed. A thing that has changed again has a new number, and the old one is gone."""

    seq: int


class ReplicaPage(BaseModel):
    """Changes by number. `next` is what to send as `since` for those that follow; `more` when there are some."""

    changes: list[NumberedChange]
    next: int
    more: bool


class ReplicaBatch(Strict):
    """Changes of a peer, to be applied. `next` is remembered as how far its feed was read."""

    changes: list[Change] = Field(max_length=MOST_CHANGES)
    peer: Who | None = Field(None, description="Which feed they came from.")
    next: int | None = Field(None, ge=0, lt=2**62)

    @model_validator(mode="after")
    def _both_or_neither(self) -> "ReplicaBatch":
        if (self.peer is None) != (self.next is None):
            raise ValueError("give peer and next, or neither")
        return self


class Fate(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    KNOWN = "known"
    """It was here like this."""
    KEPT = "kept"
    """What is here goes before it: the feed of this deployment tells it once more."""
    UNPLACED = "unplaced"
    """A link whose item is not here."""


class ReplicaReport(BaseModel):
    """What became of each change, in order."""

    outcomes: list[Fate]


class ReplicaMark(BaseModel):
    """How far the feed of a peer was read and applied."""

    peer: str
    seq: int
    updated_at: datetime


class ReplicaMarks(BaseModel):
    """This deployment's own feed and its last number, and how far it has read those of its peers.

    A database that was made anew from a backup has another feed: everybody reads it from its beginning.
    """

    feed: str
    head: int
    marks: list[ReplicaMark]
