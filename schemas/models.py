"""Models that analyses use: each a name, a kind and a version that never changes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from schemas.analyses import CameraName, ModelReference
from schemas.fields import FileReference, Strict

MOST_POINTS = 256

PointName = Annotated[str, StringConstraints(pattern=r"^[\w][\w .()+-]{0,63}$")]
Row3 = Annotated[list[float], Field(min_length=3, max_length=3)]
Row4 = Annotated[list[float], Field(min_length=4, max_length=4)]


class ModelKind(StrEnum):
    """What a model is."""

    DLC = "dlc"
    """A DeepLabCut project with a trained snapshot (PyTorch engine, one animal)."""
    RIG = "rig"
    """Two calibrated cameras, and the model that finds points in the pictures of each."""
    TRACKER = "tracker"
    """Parameters of the built-in tracker: coloured spots, found by their colour. It learns nothing."""


#: For each kind of job, the kinds of model that it works with.
FITTING: dict[str, frozenset[ModelKind]] = {
    **dict.fromkeys(
        ("analyze.video", "analyze.label", "analyze.image", "analyze.label_image"),
        frozenset({ModelKind.DLC, ModelKind.TRACKER}),
    ),
    **dict.fromkeys(("analyze.triangulate", "analyze.label_3d"), frozenset({ModelKind.RIG})),
}


class Spot(Strict):
    """A point that the built-in tracker looks for."""

    name: PointName
    colour: tuple[int, int, int] | None = Field(
        None, description="Red, green, blue, 0 to 255. Without one: whatever stands out most from the picture."
    )
    tolerance: int = Field(60, ge=1, le=255, description="How far a pixel's colour may be off, as a distance in RGB.")
    least_area: int = Field(6, ge=1, le=1_000_000, description="Pixels; smaller regions count as nothing.")

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if self.colour is not None and not all(0 <= part <= 255 for part in self.colour):
            raise ValueError("a colour has three parts from 0 to 255")
        return self


class TrackerParameters(Strict):
    """The built-in tracker: what to look for, and how to draw it."""

    points: list[Spot] = Field(min_length=1, max_length=MOST_POINTS)
    skeleton: list[tuple[PointName, PointName]] = Field(default_factory=list, max_length=1000)
    pcutoff: float = Field(0.6, ge=0, le=1)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [point.name for point in self.points]
        if len(set(names)) < len(names):
            raise ValueError("each point has a name of its own")
        if not {name for bone in self.skeleton for name in bone} <= set(names):
            raise ValueError("the skeleton joins points that exist")
        return self


class Camera(Strict):
    """A calibrated camera, with OpenCV's conventions: it projects space to pixels by `projection`.

    With `matrix` and `distortion`, pixels are freed of the lens's distortion first, and turned by `rectification`.
    """

    name: CameraName
    projection: list[Row4] = Field(min_length=3, max_length=3, description="3 x 4.")
    matrix: list[Row3] | None = Field(None, min_length=3, max_length=3, description="3 x 3, of the lens.")
    distortion: list[float] | None = Field(None, min_length=4, max_length=14, description="OpenCV's coefficients.")
    rectification: list[Row3] | None = Field(None, min_length=3, max_length=3, description="3 x 3.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.matrix is None) != (self.distortion is None):
            raise ValueError("the lens has both a matrix and distortion coefficients, or neither")
        if self.rectification is not None and self.matrix is None:
            raise ValueError("a rectification needs the lens's matrix")
        if self.distortion is not None and len(self.distortion) not in {4, 5, 8, 12, 14}:
            raise ValueError("OpenCV has 4, 5, 8, 12 or 14 distortion coefficients")
        return self


class ModelRequest(Strict):
    """A model to register. The same again is the version that is there; anything else is a new version.

    `dlc`: `file`, a zip of the project. `rig`: `models`, and `file` (a zip of a calibrated DeepLabCut 3-D project) or
    `cameras`. `tracker`: `tracker`.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    kind: ModelKind
    file: FileReference | None = Field(None, description="An uploaded zip archive.")
    tracker: TrackerParameters | None = None
    cameras: list[Camera] | None = Field(None, min_length=2, max_length=2)
    models: list[ModelReference] | None = Field(
        None, min_length=1, max_length=2, description="For a rig: the model of each camera, or one for both."
    )
    pcutoff: float | None = Field(None, ge=0, le=1, description="For a rig: below it a point is missing in space.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        given = {
            name for name in ("file", "tracker", "cameras", "models", "pcutoff") if getattr(self, name) is not None
        }
        needed, allowed = {
            ModelKind.DLC: ({"file"}, {"file"}),
            ModelKind.TRACKER: ({"tracker"}, {"tracker"}),
            ModelKind.RIG: ({"models"}, {"file", "cameras", "models", "pcutoff"}),
        }[self.kind]
        if not needed <= given <= allowed or (self.kind is ModelKind.RIG and ("file" in given) == ("cameras" in given)):
            raise ValueError(
                {
                    ModelKind.DLC: "a dlc model is a file",
                    ModelKind.TRACKER: "a tracker has its parameters in `tracker`",
                    ModelKind.RIG: "a rig has `models`, and either a file or cameras",
                }[self.kind]
            )
        return self


class ModelView(BaseModel):
    """A version of a model."""

    name: str
    version: int
    kind: ModelKind
    engine: str = Field(description="What does the work: `deeplabcut` or `opencv`.")
    analyses: list[str] = Field(description="The kinds of job that it can be used for.")
    digest: str = Field(description="SHA-256 of all that makes it what it is.")
    file_id: str | None = Field(description="SHA-256 of the archive it came as.")
    points: list[str]
    details: dict[str, Any]
    created_by: str | None
    created_at: datetime | None
    links: dict[str, str]


class ModelPage(BaseModel):
    """Models by name, each at its newest version. `next` is the cursor of the following page, if there is one."""

    models: list[ModelView]
    next: str | None


class ModelVersions(BaseModel):
    """All versions of a model, newest first."""

    versions: list[ModelView]
