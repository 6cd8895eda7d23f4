"""Values that handlers know: artifacts, and the steps that an attempt leaves for the next one. Pure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """Bytes in the object store. `name` is unique within the job; hashes are lower-case hex; size in bytes."""

    name: str
    sha256: str
    sha1: str
    size: int
    content_type: str
    object_key: str


@dataclass(frozen=True)
class Step:
    """A part of the work that is finished and survives a crash: its record and its artifacts, committed together."""

    name: str
    ordinal: int
    record: dict[str, Any]
    artifacts: tuple[Artifact, ...] = ()
