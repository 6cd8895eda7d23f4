"""`split.video`: cut a video into frames and into task videos that a browser plays."""

from typing import Any, Literal

from pydantic import Field

from schemas.fields import FileReference, Strict
from schemas.rates import Rate


class SplitVideo(Strict):
    """Frames are selected by presentation time: sample k is the frame on screen at k / rate."""

    file: FileReference = Field(description="The video to split.")
    rate: Rate = Field(description="Samples per second of video.")
    frames_per_task: int = Field(120, ge=1, le=10_000, description="Frames in each task video; the last has the rest.")
    images: bool = Field(False, description="Also write one JPEG per sample.")
    thumbnails: bool = Field(True, description="With images: also a thumbnail of at most 250 x 250 pixels.")
    image_quality: int = Field(90, ge=1, le=100, description="JPEG quality.")
    preset: Literal["ultrafast", "superfast", "veryfast", "fast", "medium"] = Field(
        "ultrafast", description="x264 preset of the task videos: slower ones make smaller files."
    )
    crf: int = Field(25, ge=0, le=51, description="x264 constant rate factor: lower is better and larger.")
    source_rate: Rate | None = Field(
        None, description="Frames per second of the source, only for streams that carry no timestamps."
    )


def since_version_1(params: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had a slower preset unless told otherwise: whoever sent it gets the videos that he expected."""
    return {"preset": "veryfast", "crf": 23, **params}
