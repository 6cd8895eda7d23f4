"""What a handler may ask for. There is no verb to commit a job, to publish or to acknowledge: that is the runtime's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from consumers.artifacts import Artifact, Step
from schemas.bulk import Bulk
from schemas.leases import Reported


class Readable(Protocol):
    """Something to read from."""

    def read(self, size: int) -> bytes:
        """The next piece; empty at the end."""


class Workspace(Protocol):
    """One attempt's view of the outside world."""

    @property
    def scratch(self) -> Path:
        """An empty folder of this attempt, removed when it ends."""

    def input(self, file: str) -> Path:
        """The bytes of one input (by SHA-256), fetched once into scratch, checksum verified.

        Raises Rejected(`unknown_file`) when the job has no such input.
        """

    def name(self, file: str) -> str:
        """The name that an input was uploaded under; the beginning of its SHA-256 when a job made it.

        Raises Rejected(`unknown_file`) when the job has no such input.
        """

    def store(self, name: str, source: Path | bytes, content_type: str) -> Artifact:
        """Write an object. Nobody sees it until a checkpoint or the job's end names it. Safe from several threads."""

    def checkpoint(self, step: Step) -> None:
        """Commit a finished part of the work under the claim's token. Raises Fenced when the claim is lost."""

    def checkpoints(self) -> list[Step]:
        """The parts that earlier attempts of this job committed, by ordinal."""

    def act(self, wanted: Bulk, limit: int) -> Step | None:
        """Deal with the next jobs of a bulk action, at most `limit`, and remember what became of each, all at once.

        Returns the step that remembers it, None when none is left; its record is `{"total": how many there were,
        "done": [[id, outcome, why], ...]}`. Never this job itself nor one that came after it. Raises Fenced.
        """

    def progress(self, percent: float) -> None:
        """Tell how far the work is, 0 to 100. Lossy and rate limited: nothing may depend on it."""


class Catalogue(Workspace, Protocol):
    """The outside world of work on a collection of items."""

    def import_items(self, collection: str, source: Readable) -> Step | None:
        """Make CSV of line, key, partition and attributes part of a collection, and remember it as the step `merged`.

        All at once or not at all. None when there is no such collection. Raises Fenced.
        """

    def move_items(
        self, collection: str, state: Reported, named: Sequence[tuple[int, str]], ordinal: int
    ) -> Step | None:
        """Set the state of items, named by line and key, and remember what became of them as a step.

        Its record is `{"lines", "counts", "refused": [[line, key, code], ...]}`. None when there is no such collection.
        Raises Fenced.
        """
