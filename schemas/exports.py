"""Exports of labelled data: the parameters of `export.labels` and `train.classifier`, and what is told about them."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from schemas.fields import Strict
from schemas.jobs import ErrorView
from schemas.labelling import ProjectName
from schemas.states import JobState

LARGEST_ID = 2**31 - 1
OLD_TEXT = re.compile(rb"clf-([0-9]{1,10})")


class Format(StrEnum):
    """How the tables of an archive are written. `json` is the default orientation of a pandas DataFrame."""

    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"


Formats = Annotated[list[Format], Field(min_length=1, max_length=3), AfterValidator(lambda given: sorted(set(given)))]


class ExportTerms(Strict):
    """How an archive is wanted."""

    formats: Formats = Field(default=[Format.JSON])
    identities: bool = Field(False, description="Annotators by name instead of pseudonyms. For admins only.")


class ExportLabels(ExportTerms):
    """Labelled data, what the classifier says about the rest, and the classifier, as one archive."""

    classifier: int = Field(ge=1, le=LARGEST_ID, description="Its number: `GET /v1/classifiers` lists them.")


class TrainClassifier(Strict):
    """Train a classifier on what people have labelled so far."""

    project: ProjectName


def export_key(params: dict[str, Any]) -> str:
    """Requests for the same archive have one live job."""
    return f"clf-{params['classifier']}:{'+'.join(params['formats'])}{':identities' * params['identities']}"


def export_of_text(body: bytes) -> dict[str, Any] | None:
    """The request in a message of the old broker, `clf-7`; None when it is none."""
    found = OLD_TEXT.fullmatch(body.strip())
    return {"classifier": int(found[1])} if found is not None else None


class ExportView(BaseModel):
    """One export: a version of an archive."""

    export_id: UUID
    classifier: int
    clfId: int = Field(description="The same, as the old interface calls it.")  # noqa: N815
    status: int = Field(description="0 none, 1 in progress, 2 available, 3 failed.")
    state: JobState
    progress: float
    requested_at: datetime
    finished_at: datetime | None
    formats: list[Format]
    result: dict[str, Any] | None = Field(description="Counts, the time of the snapshot, the archive's name.")
    error: ErrorView | None
    size: int | None = Field(description="Bytes of the archive.")
    sha256: str | None
    expires_at: datetime | None
    links: dict[str, str]


class ExportPage(BaseModel):
    """Exports, newest first."""

    exports: list[ExportView]
    next: str | None


class ClassifierView(BaseModel):
    """A classifier, and the newest export that was asked for with it."""

    id: int
    project: str
    precision: float | None = Field(description="Micro-averaged, on the tenth that it was not trained on.")
    sha256: str
    vectorizer: bool
    created_at: datetime
    created_by: str
    download: int = Field(description="0 none, 1 in progress, 2 available, 3 failed.")
    export_id: UUID | None


class ClassifierPage(BaseModel):
    """Classifiers, newest first."""

    classifiers: list[ClassifierView]
    next: str | None


STATUS = {
    JobState.SCHEDULED: 1,
    JobState.QUEUED: 1,
    JobState.RUNNING: 1,
    JobState.SUCCEEDED: 2,
    JobState.FAILED: 3,
    JobState.CANCELLED: 3,
}


def status_of(state: str | None) -> int:
    """The old number for the state of an export; None is no export."""
    return STATUS[JobState(state)] if state is not None else 0
