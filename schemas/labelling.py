"""Annotation projects: datapoints, the labels that people give them, and how long that took. Bodies of their feed."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, FiniteFloat, StringConstraints, model_validator

from schemas.fields import Strict
from schemas.linear import Label, LinearModel
from schemas.moments import Moment

ProjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Person = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Content = Annotated[str, StringConstraints(max_length=1_000_000, pattern=r"^[^\x00]*$")]
Vector = list[FiniteFloat]
Column = list[Content] | list[Vector] | dict[str, Content] | dict[str, Vector]
MOST_ROWS = 100_000
#: Columns that exports have beside the features.
RESERVED = frozenset({"text_id", "text_data", "label", "labels", "users", "confidence"})


class LabellingProjectRequest(Strict):
    """A project. Its datapoints are texts, or vectors with one number for each of the `features`."""

    features: list[Key] = Field([], max_length=1000, description="Names of the numeric features; none for texts.")
    labels: list[Label] = Field([], max_length=1000)
    min_votes: int = Field(1, ge=1, le=1000, description="Votes after which the majority is the label.")
    members: list[Person] = Field([], max_length=1000, description="Names of the tokens that may see it.")

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len(set(self.features)) < len(self.features):
            raise ValueError("a feature is named twice")
        if taken := RESERVED & set(self.features):
            raise ValueError(f"{min(taken)} is a column of its own")
        return self


class LabellingProjectView(BaseModel):
    """A project and how far its labelling is."""

    name: str
    features: list[str]
    labels: list[str]
    members: list[str]
    min_votes: int
    created_at: datetime
    datapoints: int
    labelled: int
    pending: int = Field(description="With votes, but not enough of them.")
    label_share: float = Field(description="Labelled of all; 0 when there are none.")


class Rows(Strict):
    """Datapoints by column, as lists or as a pandas DataFrame writes them: `{"0": ..., "1": ...}`."""

    data: Column = Field(max_length=MOST_ROWS)
    keys: list[Key] | None = Field(None, max_length=MOST_ROWS, description="Your own ids; else the content is the id.")


class LabelledRows(Rows):
    """Datapoints whose label is known."""

    label: list[Label] | dict[str, Label] = Field(max_length=MOST_ROWS)


class Import(Rows):
    """Datapoints, labels to choose from, and datapoints that have their label already. Twice is as good as once."""

    data: Column = Field([], max_length=MOST_ROWS)
    labels: list[Label] | dict[str, Label] = Field([], max_length=1000)
    init: LabelledRows | None = None


class Imported(BaseModel):
    """What an import did."""

    added: int
    known: int = Field(description="Datapoints that were there already.")


class VoteRequest(Strict):
    """One person's label for one datapoint."""

    datapoint: int = Field(ge=1, le=2**63 - 1)
    label: Label
    annotator: Person | None = Field(None, description="Who says so, if not the caller. For admins only.")


class VoteView(BaseModel):
    """What a vote made of its datapoint."""

    datapoint: int
    votes: int
    label: str | None


class TimestampRequest(Strict):
    """How long one person looked at one datapoint."""

    datapoint: int = Field(ge=1, le=2**63 - 1)
    start_time: Moment
    end_time: Moment | None = None
    annotator: Person | None = Field(None, description="Whose time it is, if not the caller's. For admins only.")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end_time is not None and self.end_time < self.start_time:
            raise ValueError("the end is before the start")
        return self


class TimestampView(BaseModel):
    """A time that was noted."""

    id: int


class ClassifierRequest(Strict):
    """Register a classifier that was trained elsewhere, in the safe form."""

    model: LinearModel
    precision: FiniteFloat | None = Field(None, ge=0, le=1)
