"""The workspace's way to annotation projects: a moment of one, as files, and the classifiers that jobs have trained."""

from pathlib import Path

from sqlalchemy import Connection, Engine

from consumers.outcome import Fenced, Rejected
from consumers.runtime.database import translated
from consumers.snapshot import Snapshot, StoredClassifier
from infra import classifiers, snapshots
from infra.claims import Claim
from schemas.exports import ExportLabels, TrainClassifier
from schemas.linear import LinearModel

ALWAYS = ("human", "pending", "timestamps")
VECTORS = ("human_vectors", "pending_vectors")


def snapshot(engine: Engine, claim: Claim, wanted: ExportLabels | TrainClassifier, folder: Path) -> Snapshot:
    """Copy what a job needs of a project. Raises Rejected."""
    try:
        with translated(), snapshots.moment(engine) as connection:
            if isinstance(wanted, ExportLabels):
                return _for_export(connection, claim, wanted, folder)
            return _for_training(connection, claim, wanted, folder)
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
    parts: tuple[str, ...]
    if classifier is not None:
        parts = ("vectors", *VECTORS, *ALWAYS) if project["dimension"] else ("texts", *ALWAYS)
    else:
        parts = ("human", "human_vectors") if project["dimension"] else ("human", "every_text")
    return Snapshot(
        project=name,
        features=tuple(project["features"]),
        salt=bytes(project["salt"]),
        taken_at=project["taken_at"],
        parts=snapshots.copy(connection, name, parts, folder),
        classifier=classifier,
    )
