"""The workspace's way to annotation projects: a moment of one, as files, and the classifiers that jobs have trained."""

import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine

from consumers.growing import Growing
from consumers.outcome import Fenced, JobError, Rejected
from consumers.runtime.database import DatabaseAway, translated
from consumers.snapshot import Snapshot, StoredClassifier
from infra import classifiers, snapshots
from infra.claims import Claim
from schemas.exports import ExportLabels, TrainClassifier
from schemas.linear import LinearModel

STOP_SECONDS = 0.2
ALWAYS = ("human", "pending", "timestamps")
VECTORS = ("human_vectors", "pending_vectors")


class Copying:
    """A moment that is being copied, by a thread of its own. Leaving the `with` block stops it."""

    def __init__(self, snapshot: Snapshot, connection: Connection, transaction: ExitStack) -> None:
        self.snapshot = snapshot
        self._connection = connection
        self._transaction = transaction
        self._thread = threading.Thread(target=self._run, name="copying", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._thread.is_alive():
            snapshots.stop(self._connection)
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            with translated(), self._transaction:
                for name, part in self.snapshot.parts.items():
                    snapshots.copy(self._connection, name, part.sink)
                    part.end()
        except DatabaseAway:
            self._fail(JobError("database_unavailable", "The database went away in the middle of an export."))
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        for part in self.snapshot.parts.values():
            part.end(error)


def begin(engine: Engine, claim: Claim, wanted: ExportLabels | TrainClassifier, folder: Path) -> Copying:
    """Begin to copy what a job needs of a project. Raises Rejected."""
    try:
        with translated(), ExitStack() as opened:
            connection = opened.enter_context(snapshots.moment(engine))
            if isinstance(wanted, ExportLabels):
                snapshot = _for_export(connection, claim, wanted, folder)
            else:
                snapshot = _for_training(connection, claim, wanted, folder)
            return Copying(snapshot, connection, opened.pop_all())
    except snapshots.UnknownClassifier:
        raise Rejected("unknown_classifier", "There is no classifier of this number.") from None
    except snapshots.UnknownProject:
        raise Rejected("unknown_project", "There is no such project.") from None
    except snapshots.Forbidden:
        raise Rejected("forbidden", "Whoever asked for this may not see it.") from None


def register(engine: Engine, claim: Claim, project: str, model: LinearModel, precision: float) -> int:
    """Register a trained model under the claim's token. Raises Fenced."""
    try:
        with translated(), engine.begin() as connection:
            return classifiers.add_trained(connection, claim, project, model, precision)
    except classifiers.LostClaim:
        raise Fenced from None


def _for_export(connection: Connection, claim: Claim, wanted: ExportLabels, folder: Path) -> Snapshot:
    found = snapshots.classifier(connection, wanted.classifier)
    stored = StoredClassifier(
        found["id"], bytes(found["parameters"]), found["sha256"], found["precision"], found["created_at"]
    )
    return _taken(connection, claim, found["project"], folder, stored, identities=wanted.identities)


def _for_training(connection: Connection, claim: Claim, wanted: TrainClassifier, folder: Path) -> Snapshot:
    return _taken(connection, claim, wanted.project, folder, None, identities=False)


def _taken(
    connection: Connection,
    claim: Claim,
    name: str,
    folder: Path,
    classifier: StoredClassifier | None,
    identities: bool,
) -> Snapshot:
    project = snapshots.project(connection, name, claim.id, identities)
    snapshots.choose(connection, name)
    parts: tuple[str, ...]
    if classifier is not None:
        # In the order in which they are read.
        parts = ("vectors", *VECTORS, *ALWAYS) if project["dimension"] else ("texts", *ALWAYS)
    else:
        parts = ("human", "human_vectors") if project["dimension"] else ("human", "every_text")
    return Snapshot(
        project=name,
        features=tuple(project["features"]),
        salt=bytes(project["salt"]),
        taken_at=project["taken_at"],
        expected=snapshots.expected(connection),
        parts={part: Growing(folder / f"{part}.copy") for part in parts},
        classifier=classifier,
    )
