"""Analyses of files, by kind. `analyze.sleep` is the smallest one: it proves that the path works."""

from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.fields import FileReference, Strict

LONGEST_SLEEP = 3600

ModelReference = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}(@[1-9][0-9]{0,5})?$")]
"""A registered model: its name, and after `@` its version; without one the newest."""

CameraName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Sleep(Strict):
    """Sleep for whole seconds, then write a CSV file with the number of seconds slept."""

    file: FileReference = Field(description="The file that the analysis belongs to.")
    time: int = Field(ge=0, le=LONGEST_SLEEP, description="Seconds to sleep.")


class Posed(Strict):
    """What every analysis with a model has."""

    model: ModelReference = Field(description="A registered model: `name`, or `name@version`.")
    pcutoff: float | None = Field(
        None, ge=0, le=1, description="A point with a likelihood below this counts as missing. Default: the model's."
    )
    batch_size: int = Field(8, ge=1, le=256, description="Frames that go through the network together.")
    allow_damaged: bool = Field(False, description="Analyse the frames that can be decoded, also when some cannot.")
    force: bool = Field(False, description="Work anew, also when the same work has been done before.")


class Drawn(Strict):
    """How points are drawn."""

    dot_size: int = Field(4, ge=1, le=64, description="Radius of a dot, in pixels.")
    skeleton: bool = Field(True, description="Draw the model's skeleton.")


class Filmed(Strict):
    """How a labelled video is encoded."""

    crf: int = Field(20, ge=0, le=51, description="x264 constant rate factor: lower is better and larger.")


class VideoAnalysis(Posed):
    """The points of the model in every frame of a video: CSV and HDF5 as DeepLabCut writes them, summary and plots."""

    file: FileReference = Field(description="The video.")
    plots: bool = Field(True, description="Also draw trajectories and likelihoods.")
    centre_of_mass: bool = Field(
        False, description="Also write a person's centre of mass; takes a model with the fifteen landmarks of a body."
    )


class LabelVideo(Posed, Drawn, Filmed):
    """A video with the points drawn in. Runs the `video` analysis first unless that has been done."""

    file: FileReference = Field(description="The video.")
    trail: int = Field(0, ge=0, le=500, description="Also draw where the points were in so many earlier frames.")


class ImageAnalysis(Posed):
    """The points of the model in one picture."""

    file: FileReference = Field(description="The picture.")


class LabelImage(Posed, Drawn):
    """A picture with the points drawn in."""

    file: FileReference = Field(description="The picture.")


class Paired(Posed):
    """Two videos of one scene, and which camera of the rig each is from."""

    file: FileReference = Field(description="The video of the first camera.")
    file2: FileReference = Field(description="The video of the second camera.")
    camera: CameraName | None = Field(None, description="Camera of `file`. Default: the rig's first.")
    camera2: CameraName | None = Field(None, description="Camera of `file2`. Default: the rig's other.")
    undistort: bool = Field(True, description="Take the lenses' distortion out.")


class Triangulate(Paired):
    """Points in space from two videos: a CSV of x, y, z, in the unit of the rig's calibration."""


class Label3D(Paired, Drawn, Filmed):
    """A video of the points in space. Runs `triangulate` first unless that has been done."""

    start: int = Field(0, ge=0, le=10_000_000, description="First frame.")
    end: int | None = Field(None, ge=1, le=10_000_000, description="The frame after the last. Default: all.")
    azimuth: float = Field(-70, ge=-360, le=360, description="Degrees around the vertical axis.")
    elevation: float = Field(20, ge=-90, le=90, description="Degrees above the horizon.")
    trail: int = Field(0, ge=0, le=500, description="Also draw where the points were in so many earlier frames.")
