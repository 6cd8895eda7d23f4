"""The real workspace, inside the child: its own connections to the database and the store, under one claim.

Both may be away for a while without costing the attempt: calls are repeated until they work, or until the parent, whose
claim has expired by then, kills the child. Repeating is safe: a checkpoint counts once, an object is named by one row.
"""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Engine

from consumers.artifacts import Artifact, Step
from consumers.delivered import Delivered
from consumers.outcome import Fenced, JobError, Rejected
from consumers.ports import Model
from consumers.runtime import labelled, models, reception
from consumers.runtime.database import DatabaseAway, translated
from consumers.runtime.endings import stored_object
from consumers.snapshot import Snapshot
from infra import bulk, catalogue, claims, db, stages, steps
from infra.claims import Claim
from infra.imports import Source
from infra.models.rows import Registered
from infra.objects import Readable, Stored, digest
from infra.steps import Checkpoint
from infra.storage import Corrupt, NotThere, Storage, Unavailable, output_key
from schemas.bulk import Bulk
from schemas.exports import ExportLabels, TrainClassifier
from schemas.leases import Reported
from schemas.linear import LinearModel

T = TypeVar("T")

PROGRESS_SECONDS = 0.5
PATIENCE_SECONDS = 300.0
LONGEST_WAIT_SECONDS = 5.0
KNOWN_OBJECTS = 2048

log = structlog.get_logger()


class StoredWorkspace:
    """One attempt's view of the outside world."""

    def __init__(
        self,
        claim: Claim,
        scratch: Path,
        engine: Engine,
        storage: Storage,
        clock: Callable[[], float] = time.monotonic,
        device: str = "cpu",
    ) -> None:
        self.device = device
        self._claim = claim
        self._scratch = scratch
        self._engine = engine
        self._storage = storage
        self._clock = clock
        self._known: OrderedDict[str, Stored] = OrderedDict()
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    @property
    def scratch(self) -> Path:
        """An empty folder of this attempt."""
        return self._scratch

    def input(self, file: str) -> Path:
        """Fetch an input once and verify it. Raises Rejected for a file that the job does not read."""
        path = self._scratch / f"input-{file}"
        if not path.exists():
            key = self._input(file)["object_key"]
            _patiently(lambda: self._storage.fetch(key, path, file))
        return path

    def name(self, file: str) -> str:
        """The name that an input was uploaded under. Raises Rejected for a file that the job does not read."""
        return str(self._input(file)["name"])

    def store(self, name: str, source: Path | bytes, content_type: str) -> Artifact:
        """Write an object under this claim; bytes that this job has stored lately are not sent again.

        Only this job's own: another's object may be erased while this job runs.
        """
        found = digest(source)
        with self._lock:
            stored = self._known.get(found.sha256)
        if stored is None:
            stored = _patiently(
                lambda: self._put(output_key(self._claim.id, self._claim.token, name), source, content_type)
            )
        self._remember(stored)
        return Artifact(name, stored.sha256, stored.sha1, stored.size, content_type, stored.object_key)

    def stream(self, name: str, source: Readable, content_type: str) -> Artifact:
        """Write an object while it is made. A source cannot be read twice, so a store that is away ends the attempt."""
        key = output_key(self._claim.id, self._claim.token, name)
        try:
            stored = self._storage.put_stream(key, source, content_type)
        except Unavailable as error:
            raise JobError("storage_unavailable", "The object store went away in the middle of an upload.") from error
        return Artifact(name, stored.sha256, stored.sha1, stored.size, content_type, stored.object_key)

    @contextmanager
    def snapshot(self, wanted: ExportLabels | TrainClassifier) -> Iterator[Snapshot]:
        """Copy one moment of a project into scratch. Raises Rejected.

        The copying is not repeated when the database goes away: what was read is spent, the attempt fails.
        """
        with _patiently(lambda: labelled.begin(self._engine, self._claim, wanted, self._scratch)) as copying:
            yield copying.snapshot

    def register(self, project: str, model: LinearModel, precision: float) -> int:
        """Register what this job has trained. Raises Fenced."""
        return _patiently(lambda: labelled.register(self._engine, self._claim, project, model, precision))

    def checkpoint(self, step: Step) -> None:
        """Commit a step with its artifacts under the claim's token. Raises Fenced."""
        made = Checkpoint(step.name, step.ordinal, step.record, tuple(stored_object(a) for a in step.artifacts))
        if not _patiently(lambda: self._checkpoint(made)):
            raise Fenced

    def checkpoints(self) -> list[Step]:
        """What earlier attempts committed, by ordinal."""
        return [_step(kept) for kept in _patiently(self._checkpoints)]

    def reuse(self, name: str, ordinal: int, folder: str) -> Step | None:
        """Take a step over from another job. Raises Fenced."""
        try:
            taken = _patiently(lambda: self._reuse(name, ordinal, folder))
        except stages.LostClaim:
            raise Fenced from None
        return _step(taken) if taken is not None else None

    def fetch(self, artifact: Artifact) -> Path:
        """Fetch an artifact once and verify it."""
        path = self._scratch / f"artifact-{artifact.sha256}"
        if not path.exists():
            _patiently(lambda: self._storage.fetch(artifact.object_key, path, artifact.sha256))
        return path

    def model(self, reference: str) -> Model:
        """A registered model, unpacked beside the attempt's folder. Raises Rejected for an unknown one."""
        found, stored = _patiently(lambda: self._model(reference))
        return _patiently(lambda: models.unpacked(found, stored, self._storage, self._scratch.parent))

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Rows about the thing that the job's parameters name."""
        return _patiently(lambda: self._ask(question))

    def kept(self, sha256: str) -> bytes:
        """A content that is kept for the thing that the job names. Raises Rejected for any other."""
        found = _patiently(lambda: self._ask("kept", sha256=sha256))
        if not found:
            raise Rejected("unknown_file", "Nothing that the job is about has such a content.")
        return _patiently(lambda: self._storage.read(found[0]["object_key"], sha256))

    def act(self, wanted: Bulk, limit: int) -> Step | None:
        """Deal with the next jobs of a bulk action. Raises Fenced."""
        try:
            made = _patiently(lambda: self._act(wanted, limit))
        except bulk.LostClaim:
            raise Fenced from None
        return Step(made.name, made.ordinal, made.record) if made is not None else None

    def import_items(self, collection: str, source: Source, name: str) -> Step | None:
        """Merge a file's items. Not repeated when the database goes away: the source is spent, the attempt fails."""
        try:
            with translated(), self._engine.begin() as connection:
                step = self._step(catalogue.merge(connection, self._claim, collection, source, name))
        except bulk.LostClaim:
            raise Fenced from None
        except DatabaseAway as error:
            raise JobError("database_unavailable", "The database went away during the import.") from error
        return step

    def move_items(
        self, collection: str, state: Reported, named: Sequence[tuple[int, str]], ordinal: int
    ) -> Step | None:
        """Set the state of items. Raises Fenced."""

        def move() -> Checkpoint | None:
            with translated(), self._engine.begin() as connection:
                return catalogue.move(connection, self._claim, collection, state, named, ordinal)

        try:
            return self._step(_patiently(move))
        except bulk.LostClaim:
            raise Fenced from None

    def delivered(self, delivery: UUID) -> Delivered:
        """What was delivered, and what it may be. Raises Rejected."""
        return _patiently(lambda: reception.delivered(self._engine, self._storage, delivery))

    def sha256(self, key: str) -> str:
        """The SHA-256 of an object of the delivery."""
        return _patiently(lambda: reception.sha256(self._storage, key))

    def progress(self, percent: float) -> None:
        """Note how far the work is, at most twice a second; while the database is away, less often."""
        now = self._clock()
        with self._lock:
            if now < self._quiet_until:
                return
            self._quiet_until = now + PROGRESS_SECONDS
        try:
            with translated(), self._engine.begin() as connection:
                db.run(connection, "claims.relaxed")
                claims.progress(connection, self._claim, min(max(percent, 0.0), 100.0))
        except DatabaseAway:
            self._quiet_until = self._clock() + LONGEST_WAIT_SECONDS

    def _step(self, made: Checkpoint | None) -> Step | None:
        return Step(made.name, made.ordinal, made.record) if made is not None else None

    def _remember(self, stored: Stored) -> None:
        """Know the latest objects only: a long video has no end of them. The same frame again comes soon or never."""
        with self._lock:
            self._known[stored.sha256] = stored
            self._known.move_to_end(stored.sha256)
            if len(self._known) > KNOWN_OBJECTS:
                self._known.popitem(last=False)

    def _put(self, key: str, source: Path | bytes, content_type: str) -> Stored:
        if isinstance(source, bytes):
            return self._storage.put_bytes(key, source, content_type)
        return self._storage.put_file(key, source, content_type)

    def _input(self, sha256: str) -> db.Row:
        found = _patiently(lambda: self._find_input(sha256))
        if found is None:
            raise Rejected("unknown_file", "The job has no such input.")
        return found

    def _find_input(self, sha256: str) -> db.Row | None:
        with translated(), self._engine.begin() as connection:
            return claims.input_of(connection, self._claim, sha256)

    def _ask(self, question: str, **values: Any) -> list[dict[str, Any]]:
        with translated(), self._engine.begin() as connection:
            return [dict(row) for row in db.rows(connection, f"questions.{question}", id=self._claim.id, **values)]

    def _act(self, wanted: Bulk, limit: int) -> Checkpoint | None:
        with translated(), self._engine.begin() as connection:
            return bulk.act(connection, self._claim, wanted, limit)

    def _checkpoint(self, made: Checkpoint) -> bool:
        with translated(), self._engine.begin() as connection:
            return steps.checkpoint(connection, self._claim.id, self._claim.token, made)

    def _reuse(self, name: str, ordinal: int, folder: str) -> Checkpoint | None:
        with translated(), self._engine.begin() as connection:
            return stages.reuse(connection, self._claim, name, ordinal, folder)

    def _model(self, reference: str) -> tuple[Registered, db.Row | None]:
        with translated(), self._engine.begin() as connection:
            return models.find(connection, reference)

    def _checkpoints(self) -> list[Checkpoint]:
        with translated(), self._engine.begin() as connection:
            return steps.checkpoints(connection, self._claim.id)


def _step(kept: Checkpoint) -> Step:
    return Step(kept.name, kept.ordinal, kept.record, tuple(Artifact(**vars(each)) for each in kept.objects))


def _patiently(work: Callable[[], T]) -> T:
    """Repeat work while what it needs is away. Raises JobError when that lasts too long, or when bytes are lost."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    wait = 0.2
    while True:
        try:
            return work()
        except (DatabaseAway, Unavailable) as error:
            if time.monotonic() > deadline:
                code = "storage_unavailable" if isinstance(error, Unavailable) else "database_unavailable"
                raise JobError(code, "What the job needs has been away for too long.") from error
            log.warning("waiting", action="workspace.waiting", reason=str(error))
        except NotThere as error:
            raise JobError("object_missing", "The stored bytes of a file are missing.") from error
        except Corrupt as error:
            raise JobError("object_corrupt", "The stored bytes of a file are damaged.") from error
        time.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)
