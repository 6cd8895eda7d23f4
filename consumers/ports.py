"""What a handler may ask for. There is no verb to commit a job, to publish or to acknowledge: that is the runtime's."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from consumers.artifacts import Artifact, Step
from consumers.delivered import Delivered
from consumers.snapshot import Snapshot
from schemas.bulk import Bulk
from schemas.exports import ExportLabels, TrainClassifier
from schemas.leases import Reported
from schemas.linear import LinearModel


class Readable(Protocol):
    """Where a stream comes from: like a binary file; `b""` is its end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Model:
    """A registered model. `digest` stands for all that makes it what it is; `folder` has its files, if it has any."""

    name: str
    version: int
    kind: str
    digest: str
    details: dict[str, Any]
    folder: Path | None = None

    @property
    def reference(self) -> str:
        """What names this very version."""
        return f"{self.name}@{self.version}"


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


class StreamingWorkspace(Workspace, Protocol):
    """For work whose product is too long for scratch."""

    def stream(self, name: str, source: Readable, content_type: str) -> Artifact:
        """Write an object while it is made, in parts, of any length. As with `store`, nobody sees it yet.

        What `source` raises comes through, and no part of the object stays. Raises JobError when the store is away.
        """


class LabelledWorkspace(StreamingWorkspace, Protocol):
    """For work on annotation projects."""

    def snapshot(self, wanted: ExportLabels | TrainClassifier) -> AbstractContextManager[Snapshot]:
        """One moment of an annotation project, as files in scratch that grow while they are read. Leaving stops that.

        Raises Rejected(`unknown_classifier`, `unknown_project`, `forbidden`). Reading the files raises JobError when
        the database goes away.
        """

    def register(self, project: str, model: LinearModel, precision: float) -> int:
        """Register what this job has trained, once; its number. Raises Fenced when the claim is lost."""


class Curation(Workspace, Protocol):
    """What handlers of tasks and datasets may ask for beside that: the thing that their job names, as it is."""

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Rows about the very thing that the job's parameters name; `infra/sql/questions.sql` has the questions."""

    def kept(self, sha256: str) -> bytes:
        """A content that is kept for the dataset version or the task that the job names, checksum verified.

        Raises Rejected(`unknown_file`) for any other. Safe from several threads.
        """


class StreamingCuration(Curation, StreamingWorkspace, Protocol):
    """For archives of datasets."""


class AnalysisWorkspace(Workspace, Protocol):
    """What analyses with models may ask for besides."""

    def reuse(self, name: str, ordinal: int, folder: str) -> Step | None:
        """Take a step of that name over from a job that has succeeded, as a step of this one, committed.

        Its artifacts get names below `folder`, empty or with a slash at its end. None when no job has done it. The name
        begins with `stage:` and says all that the step depends on; the record has the number of its `artifacts`.
        Raises Fenced.
        """

    def fetch(self, artifact: Artifact) -> Path:
        """The bytes of an artifact of this job, in scratch, checksum verified."""

    def model(self, reference: str) -> Model:
        """A registered model, unpacked. Raises Rejected(`unknown_model`)."""

    @property
    def device(self) -> str:
        """What networks run on: `cpu`, `cuda:0`, ..."""


class Catalogue(Workspace, Protocol):
    """The outside world of work on a collection of items."""

    def import_items(self, collection: str, source: Readable, name: str) -> Step | None:
        """Make lines of line, key, partition, attributes part of a collection, and remember it as the step `merged`.

        `name` stands for the file and all that decides what its lines make: where the same import was the last to
        change the collection, the source is not read.

        All at once or not at all. None when there is no such collection. Raises Fenced.
        """

    def move_items(
        self, collection: str, state: Reported, named: Sequence[tuple[int, str]], ordinal: int
    ) -> Step | None:
        """Set the state of items, named by line and key, and remember what became of them as a step.

        Its record is `{"lines", "counts", "refused": [[line, key, code], ...]}`. None when there is no such collection.
        Raises Fenced.
        """


class Reception(Workspace, Protocol):
    """The outside world of work on a delivery."""

    def delivered(self, delivery: UUID) -> Delivered:
        """What was delivered, and what it may be. Raises Rejected(`unknown_delivery`, `too_many_files`)."""

    def sha256(self, key: str) -> str:
        """The SHA-256 of an object of the delivery, read as a stream."""
