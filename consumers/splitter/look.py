"""What the pictures of a source look like: size, rotation and colours, decided once from its first frame.

Every later frame is brought to this look. Nothing here may convert a picture: that is the room `pixels`.
"""

from dataclasses import dataclass
from fractions import Fraction

from av import VideoFrame

# Code points of ITU-T H.273, as FFmpeg uses them.
RGB, BT709, UNTAGGED, BT601 = 0, 1, 2, 6
RIGHT_ANGLE = 90


@dataclass(frozen=True)
class Look:
    """Pixels and H.273 colour codes. `turns`: quarter turns counter-clockwise that put the coded picture upright."""

    coded_width: int
    coded_height: int
    turns: int
    matrix: int
    primaries: int
    transfer: int
    matrix_assumed: bool
    pixel_aspect: Fraction

    @property
    def width(self) -> int:
        """Width of the upright picture: of frames, thumbnails' source and box coordinates."""
        return self.coded_height if self.turns % 2 else self.coded_width

    @property
    def height(self) -> int:
        """Height of the upright picture."""
        return self.coded_width if self.turns % 2 else self.coded_height

    @property
    def padding_right(self) -> int:
        """Columns that the task video adds to be even. On the right, so that no coordinate moves."""
        return self.width % 2

    @property
    def padding_bottom(self) -> int:
        """Rows that the task video adds to be even."""
        return self.height % 2


def look_of(frame: VideoFrame, pixel_aspect: Fraction | None) -> Look:
    """Read a frame's look. Rotations other than right angles are left alone, as players do."""
    turns = frame.rotation // RIGHT_ANGLE % 4 if frame.rotation % RIGHT_ANGLE == 0 else 0
    aspect = pixel_aspect or Fraction(1)
    assumed = frame.colorspace in (RGB, UNTAGGED)
    matrix = _usual_matrix(frame.height) if assumed else frame.colorspace
    return Look(
        coded_width=frame.width,
        coded_height=frame.height,
        turns=turns,
        matrix=matrix,
        primaries=_tag(frame.color_primaries, matrix),
        transfer=_tag(frame.color_trc, matrix),
        matrix_assumed=assumed,
        pixel_aspect=1 / aspect if turns % 2 else aspect,
    )


def _usual_matrix(height: int) -> int:
    """Untagged HD is BT.709 in practice, although many tools read it as BT.601."""
    return BT709 if height >= 720 else BT601


def _tag(value: int, matrix: int) -> int:
    """BT.601 and BT.709 use one code for the matrix, the primaries and the transfer: fill a missing one in."""
    return matrix if value == UNTAGGED and matrix in (BT709, BT601) else value
