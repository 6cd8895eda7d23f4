"""Bodies about projects, what is uploaded to them, and the tasks that come out; the parameters of `split.images`."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from schemas.detection import Detector
from schemas.fields import FileReference, Strict
from schemas.rates import Rate

Id = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$", to_lower=True),
]
"""An id that a caller may choose: a UUID, or the 24 hex digits of other systems."""
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
MOST_SIDE = 1_000_000.0
LARGEST_VERSION = 1_000_000


class SplitImages(Strict):
    """Cut a set of images into tasks: each image is padded with black to the largest of its task."""

    images: list[FileReference] = Field(
        min_length=1, max_length=10_000, description="Images, and zip archives of images."
    )
    frames_per_task: int = Field(120, ge=1, le=10_000, description="Images in each task; the last has the rest.")
    rate: Rate = Field(4, validate_default=True, description="Images per second of the review video.")
    seed: int | None = Field(None, ge=0, le=2**31, description="Shuffle with this seed; by name if absent.")
    image_quality: int = Field(95, ge=1, le=100, description="JPEG quality.")


class ProjectRequest(Strict):
    """A project: what belongs together."""

    name: str = Field(min_length=1, max_length=200)
    id: Id | None = Field(None, description="The project's id, if you choose it; asking again gives the same project.")


class ProjectView(BaseModel):
    """A project."""

    id: str
    name: str
    created_by: str
    created_at: datetime
    uploads: int
    tasks: int


class ProjectPage(BaseModel):
    """Projects by id."""

    projects: list[ProjectView]
    next: str | None


class UploadRequest(Strict):
    """Make tasks out of a video or images; or with `request_type` 2 annotate the tasks that are there."""

    id: Id | None = Field(None, description="The upload's id, if you choose it.")
    file: FileReference | None = Field(None, description="A video.")
    images: list[FileReference] | None = Field(
        None, min_length=1, max_length=10_000, description="Images, or zip archives of them."
    )
    rate: Rate = Field(5, validate_default=True, description="Frames per second of video that become samples.")
    frames_per_task: int = Field(120, ge=1, le=10_000)
    request_type: Literal[0, 1, 2] = Field(
        0, description="0: tasks; 1: tasks and automatic annotations; 2: only annotations, of the tasks that are there."
    )
    annotation_version: int = Field(
        0, ge=0, le=LARGEST_VERSION, description="Of the annotations: greater than the one there is, or 0 for none."
    )
    detector: str = Field("contrast", max_length=100, description="Who annotates; `GET /v1/detectors` lists them.")
    force: bool = Field(False, description="Replace the tasks that there are of the same content.")
    confirm: bool = Field(False, description="Replace them even if people have annotated them.")
    seed: int | None = Field(None, ge=0, le=2**31, description="Shuffle images with this seed.")


class UploadView(BaseModel):
    """An upload. `status`: 0 in progress, 1 completed, 2 error."""

    id: str
    project_id: str
    state: str
    status: int
    progress: float = Field(description="0 to 100; never goes back; 100 only when it is completed.")
    request_type: int
    annotation_version: int
    force: bool
    served: bool = Field(description="Whether its tasks are the ones that count.")
    task_count: int
    error: dict[str, str] | None
    job_id: UUID | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class UploadPage(BaseModel):
    """Uploads of a project, newest first."""

    uploads: list[UploadView]
    next: str | None


class TaskView(BaseModel):
    """A task: a piece of a video, or some images, that one person annotates.

    `record` says the same and what the splitter wrote down, in the names of the content processor.
    """

    id: UUID
    project_id: str
    upload_id: str
    number: int
    name: str
    video: str = Field(description="The SHA-256 of its video.")
    width: int
    height: int
    frame_count: int
    status: int
    audit_status: int
    task_status: int
    annotation_version: int
    assigned_to: str | None
    completed_frames: int
    box_count: int
    label_counts: dict[str, int]
    created_at: datetime
    record: dict[str, Any]


class TaskPage(BaseModel):
    """Tasks by id."""

    tasks: list[TaskView]
    next: str | None


class TaskChange(Strict):
    """What to change of a task; what is left out stays. Status 6 (accepted) or 12 (checked): fit for datasets."""

    status: int | None = Field(None, ge=0, le=99)
    audit_status: int | None = Field(
        None, ge=0, le=5, description="0 pending, 1 accepted, 2 rejected, 3 fixed, 4 fixing, 5 completed."
    )
    task_status: int | None = Field(None, ge=0, le=2, description="0 not started, 1 in progress, 2 completed.")
    assigned_to: str | None = Field(None, max_length=200)


class BoxIn(Strict):
    """A box in pixels from the top left corner of the frame."""

    label: Label
    x: float = Field(ge=-MOST_SIDE, le=MOST_SIDE, allow_inf_nan=False)
    y: float = Field(ge=-MOST_SIDE, le=MOST_SIDE, allow_inf_nan=False)
    width: float = Field(gt=0, le=MOST_SIDE, allow_inf_nan=False)
    height: float = Field(gt=0, le=MOST_SIDE, allow_inf_nan=False)
    attributes: dict[Label, str | int | float | bool] = Field(default={}, max_length=50)


class BoxesIn(Strict):
    """All boxes of a frame, as a person sees them."""

    boxes: list[BoxIn] = Field(max_length=5000)


class BoxView(BaseModel):
    """A box. `confidence` only from a detector."""

    id: UUID
    label: str
    x: float
    y: float
    width: float
    height: float
    attributes: dict[str, Any]
    confidence: float | None
    human: bool


class FrameView(BaseModel):
    """A frame of a task; frames count from 1. `annotated`: a person has said what is on it."""

    number: int
    image: str | None
    thumbnail: str | None
    source: dict[str, Any]
    annotated: bool
    is_empty: bool
    boxes: list[BoxView]


class FramePage(BaseModel):
    """Frames of a task, in order."""

    frames: list[FrameView]
    next: str | None


class DetectorRequest(Strict):
    """Make a model known under a name."""

    model: FileReference = Field(description="An ONNX file.")
    settings: Detector


class DetectorView(BaseModel):
    """Who can annotate. A built-in one has no model."""

    name: str
    model: str | None
    settings: Detector


class DetectorList(BaseModel):
    """All detectors."""

    detectors: list[DetectorView]


class ImportRequest(Strict):
    """Annotations that were made elsewhere, for one task."""

    file: FileReference
    format: Literal["coco", "yolo", "cvat"]
