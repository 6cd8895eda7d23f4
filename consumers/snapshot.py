"""One moment of an annotation project, as a handler sees it: what it is, and files with what was in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from consumers.growing import Growing


@dataclass(frozen=True)
class StoredClassifier:
    """A classifier as it is stored: bytes that nobody has read yet, and the hash that they must have."""

    id: int
    parameters: bytes
    sha256: str
    precision: float | None
    created_at: datetime


@dataclass(frozen=True)
class Snapshot:
    """A project at `taken_at`. `parts` are files in Postgres' binary COPY format; no features means texts.

    The files may still be growing. `expected` is about how many datapoints nobody has labelled.
    """

    project: str
    features: tuple[str, ...]
    salt: bytes
    taken_at: datetime
    expected: int
    parts: Mapping[str, Growing]
    classifier: StoredClassifier | None = None
