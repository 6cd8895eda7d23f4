"""Values of a delivery: the files that are there, and the manifests that they may match. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.deliveries import Extra


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a file: its bytes, and its SHA-256 where somebody knows it."""

    size: int
    sha256: str | None = None

    def is_like(self, other: "Found") -> bool:
        """The same size, and the same hash where both have one."""
        return self.size == other.size and (None in (self.sha256, other.sha256) or self.sha256 == other.sha256)


Files = Mapping[str, Found]


@dataclass(frozen=True)
class Candidate:
    """A manifest that may be meant. Those with the same `list_sha256` list the same paths and sizes."""

    host: str
    external_id: str
    list_sha256: str
    files: Files


@dataclass(frozen=True)
class Delivered:
    """What was delivered. `objects` has the keys of files that lie in the object store, by path."""

    files: Files
    candidates: Sequence[Candidate]
    extra: Extra
    objects: Mapping[str, str] = field(default_factory=dict)
