"""Classifiers: parameters in the safe form, by number. What a pickle holds never gets here as anything but bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from infra import db
from infra.claims import Claim
from schemas.linear import LinearModel


class LostClaim(Exception):
    """The claim is somebody else's by now: nothing was written."""


@dataclass(frozen=True)
class Look:
    """Whose classifiers: those of the projects that a member sees, or all (`everything`)."""

    member: str
    everything: bool = False
    id: int | None = None
    project: str | None = None
    before: int | None = None


def add(
    connection: Connection,
    project: str,
    model: LinearModel,
    precision: float | None,
    created_by: str,
    job_id: UUID | None = None,
) -> int:
    """Register a model, once per job. Returns its number."""
    stored = model.encoded()
    row = db.row(
        connection,
        "labelling.add_classifier",
        project=project,
        parameters=stored,
        sha256=hashlib.sha256(stored).hexdigest(),
        vectorizer=model.vectorizer is not None,
        precision=precision,
        job_id=job_id,
        created_by=created_by,
    )
    if row is None:
        [row] = db.rows(connection, "labelling.classifier_of_job", job_id=job_id)
    return int(row["id"])


def add_trained(connection: Connection, held: Claim, project: str, model: LinearModel, precision: float) -> int:
    """Register what a job has trained, while its claim stands. Raises LostClaim."""
    if db.row(connection, "claims.hold", id=held.id, token=held.token) is None:
        raise LostClaim
    return add(connection, project, model, precision, held.submitted_by, held.id)


def page(connection: Connection, look: Look, limit: int) -> Sequence[db.Row]:
    """Classifiers, newest first, each with the newest export that was asked for."""
    return db.rows(connection, "labelling.classifiers", **vars(look), limit=limit)


def get(connection: Connection, classifier: int) -> db.Row | None:
    """One classifier, whoever asks."""
    return db.row(connection, "labelling.classifiers", **vars(Look("", True, classifier)), limit=1)
