"""Bulk actions: one thing done to every job that a filter chooses. The parameters of `jobs.bulk`, and its bodies."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator

from schemas.fields import Strict
from schemas.moments import Moment
from schemas.states import LIVE, JobState

MOST_IDS = 5000
COUNTED = 10_000
"""Up to here a dry run counts."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class BulkAction(StrEnum):
    """What is done to each job."""

    CANCEL = "cancel"
    RETRY = "retry"


ACTS_ON: Mapping[BulkAction, frozenset[JobState]] = {
    BulkAction.CANCEL: LIVE,
    BulkAction.RETRY: frozenset({JobState.FAILED, JobState.CANCELLED}),
}


class JobFilter(Strict):
    """Which jobs: every field that is given has to fit, and at least one is given."""

    state: JobState | None = None
    kind: Word | None = None
    submitted_by: Word | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    ids: list[UUID] | None = Field(None, min_length=1, max_length=MOST_IDS)

    @model_validator(mode="after")
    def _chooses(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("say which jobs: at least one field")
        return self


class Bulk(Strict):
    """Do one thing to all jobs that a filter chooses, and that exist when this one is asked for."""

    action: BulkAction
    filter: JobFilter

    @model_validator(mode="after")
    def _fits(self) -> Self:
        possible = ACTS_ON[self.action]
        if self.filter.state is not None and self.filter.state not in possible:
            raise ValueError(f"{self.action} acts on jobs that are {', '.join(sorted(possible))}")
        return self


class BulkRequest(Bulk):
    """A bulk action, or with `dry_run` only a look at what it would act on."""

    dry_run: bool = False


class BulkPreview(BaseModel):
    """What a bulk action would act on now."""

    count: int
    more: bool = Field(description=f"There are more: counting stops at {COUNTED}.")
    sample: list[UUID] = Field(description="Some of them.")


@dataclass(frozen=True)
class Acted:
    """What became of one job: `cancelled`, `cancelling` (it runs, and ends shortly), `queued`, or `skipped` and why."""

    id: UUID
    outcome: str
    why: str | None = None
