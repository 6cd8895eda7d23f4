"""Automatic annotation: the parameters of `annotate.task`, `annotate.onnx` and `annotate.import`."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.fields import FileReference, Strict

BUILT_IN = "contrast"


class Detector(Strict):
    """How a detector works. Sizes in pixels."""

    labels: list[str] = Field(
        default=["object"], min_length=1, max_length=1000, description="Names of its classes, in their order."
    )
    threshold: float = Field(0.5, gt=0, le=1, description="Less sure boxes are dropped.")
    overlap: float = Field(0.45, gt=0, le=1, description="Of boxes that overlap more (IoU), the surest stays.")
    size: int = Field(640, ge=32, le=4096, multiple_of=32, description="Side of the picture that a model takes.")
    batch: int = Field(8, ge=1, le=64, description="Frames that are looked at together, if the model allows it.")


class AnnotateTask(Strict):
    """Find boxes on every frame of a task's video with the built-in detector."""

    task: UUID
    video: FileReference
    version: int = Field(ge=1, description="Of the annotations.")
    settings: Detector = Detector()


class AnnotateOnnx(AnnotateTask):
    """Find boxes on every frame of a task's video with a YOLO model in ONNX format."""

    model: FileReference


class ImportAnnotations(Strict):
    """Read the boxes of one task from a file that another tool has written."""

    task: UUID
    file: FileReference
    format: Literal["coco", "yolo", "cvat"]
