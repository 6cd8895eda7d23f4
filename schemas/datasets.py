"""Bodies about datasets and their versions; the parameters of `dataset.task` and `dataset.archive`."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator

from schemas.augmentation import Augmentation
from schemas.fields import Strict
from schemas.uploads import Id, Label

Group = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
VersionNo = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}\.[0-9]\.[0-9]$")]
Split = Literal["training", "validation", "testing"]
SPLITS: tuple[Split, ...] = ("training", "validation", "testing")
Format = Literal["yolo", "coco", "voc"]
FORMATS: tuple[Format, ...] = ("yolo", "coco", "voc")


class DatasetTask(Strict):
    """Build one task of a dataset version: label texts, and augmented pictures."""

    version: UUID
    task: UUID


class DatasetArchive(Strict):
    """Pack a dataset version, or a sample of it, into a zip archive."""

    version: UUID
    format: Format = "yolo"
    sample: int | None = Field(
        None, ge=1, le=10_000, description="At most so many pictures of each split; all if absent."
    )


class LabelRule(Strict):
    """Boxes with this label become a class. A box that fits several rules counts for each."""

    label: Label
    attributes: dict[Label, str | int | float | bool] | None = Field(
        None, description="A box fits if its attributes are exactly these; absent: whatever they are."
    )
    enabled: bool = True
    name: Label | None = Field(None, description="Of the class; the label if absent.")


class Percentages(Strict):
    """How the dataset is split, in percent."""

    training: float = Field(70, ge=0, le=100)
    validation: float = Field(20, ge=0, le=100)
    testing: float = Field(10, ge=0, le=100)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.training + self.validation + self.testing - 100) > 1e-6:
            raise ValueError("training, validation and testing add up to 100")
        return self


class Manual(Strict):
    """Which task is in which split."""

    training: list[UUID] = Field(default=[], max_length=100_000)
    validation: list[UUID] = Field(default=[], max_length=100_000)
    testing: list[UUID] = Field(default=[], max_length=100_000)

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        tasks = self.tasks
        if not tasks:
            raise ValueError("say at least one task")
        if len(set(tasks)) < len(tasks):
            raise ValueError("each task is said once")
        return self

    @property
    def tasks(self) -> list[UUID]:
        """All of them."""
        return [*self.training, *self.validation, *self.testing]

    def split_of(self) -> dict[UUID, Split]:
        """Which split each is in."""
        return {task: split for split in SPLITS for task in getattr(self, split)}


class SplitRequest(Strict):
    """How to split: by percentages and a seed, or task by task."""

    percentages: Percentages = Percentages()
    seed: int = Field(0, ge=0, le=2**31)
    by_video: bool = Field(
        True,
        description="Tasks of one video stay together, so that no split knows another; if there are videos enough.",
    )
    manual: Manual | None = Field(None, description="Instead of all that.")


class VersionRequest(Strict):
    """A new version of a dataset. With `base`, what is left out is as it was in that version."""

    base: VersionNo | Literal["latest"] | None = None
    projects: list[Id] = Field(default=[], max_length=1000, description="All their accepted tasks.")
    tasks: list[UUID] | None = Field(None, min_length=1, max_length=100_000, description="Only these.")
    split: SplitRequest = SplitRequest()
    labels: list[LabelRule] = Field(
        default=[], max_length=1000, description="The classes, in their order; none: every label is one, by name."
    )
    augmentations: list[Augmentation] = Field(default=[], max_length=100)
    seed: int = Field(0, ge=0, le=2**31, description="Of the augmentations.")
    formats: list[Format] = Field(default=["yolo"], max_length=len(FORMATS), description="Archives to make.")
    build: bool = Field(True, description="Build it at once.")


class ArchiveRequest(Strict):
    """An archive to make of a version that is complete, or of one that is being built."""

    format: Format = "yolo"
    sample: int | None = Field(None, ge=1, le=10_000)


class SplitShare(BaseModel):
    """What a split got. `percentage`: of all objects, or of all pictures when there is no object."""

    tasks: int
    images: int
    objects: int
    percentage: float


class TaskState(BaseModel):
    """A task of a version, and how its build goes: `pending`, `complete` or `failed`."""

    task_id: UUID
    name: str
    split: Split
    state: str
    job_id: UUID | None
    error: str | None
    images: int
    size: int
    unmatched: int


class ArchiveView(BaseModel):
    """An archive of a version. `href` once it is there."""

    format: str
    state: str
    job_id: UUID
    size: int | None
    href: str | None
    error: str | None


class VersionSummary(BaseModel):
    """A version of a dataset in a list. `state`: `created`, `pending`, `complete` or `failed`."""

    id: UUID
    group: str
    version: str
    state: str
    progress: float
    is_error: bool
    errors: list[str]
    tasks: dict[str, int] = Field(description="How many are complete, failed and pending.")
    created_by: str
    created_at: datetime


class VersionView(VersionSummary):
    """One version, whole."""

    classes: list[str]
    kind: str = Field(description="YOLO with labels, DEFAULT without: then every label is a class.")
    image_count: int
    size: int = Field(description="Bytes of its pictures and label texts.")
    file_count: int
    unmatched: int = Field(description="Boxes that fit no label.")
    splits: dict[str, SplitShare]
    warnings: list[str] = Field(description="What makes the dataset worse than it looks.")
    task_list: list[TaskState]
    archives: list[ArchiveView]
    request: dict[str, Any]


class VersionPage(BaseModel):
    """Versions of a dataset, newest first."""

    versions: list[VersionSummary]
    next: str | None


class GroupView(BaseModel):
    """A dataset."""

    name: str
    versions: int
    latest: str | None
    created_at: datetime


class GroupPage(BaseModel):
    """Datasets by name."""

    datasets: list[GroupView]
    next: str | None


class DatasetItemView(BaseModel):
    """A picture of a version with its label text. The links need no token, and last for a while."""

    task_id: UUID
    task: str
    frame: int
    augmentation: str
    split: Split
    width: int
    height: int
    image: str
    text: str | None
    thumbnail: str | None
    objects: list[dict[str, Any]]
    image_key: str
    text_key: str
    image_url: str
    text_url: str | None
    expires_in: int


class DatasetItemPage(BaseModel):
    """Pictures of a version."""

    group: str
    version: str
    items: list[DatasetItemView]
    next: str | None
