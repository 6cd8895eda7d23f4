"""Labelled videos: a frame for each frame of the source, as H.264."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from consumers.analyzer.footage import Picture
from consumers.media.h264 import H264, Format

THREADS = 2
KEYFRAME_DISTANCE = 30
HD = 720
#: H.273 codes of the matrices of large and of small pictures.
MATRIX_709, MATRIX_601 = 1, 6


class Film(H264):
    """One labelled video being written."""

    def __init__(self, path: Path, width: int, height: int, rate: Fraction, crf: int) -> None:
        self._even = (height % 2, width % 2)
        self._matrix = Colorspace.ITU709 if height >= HD else Colorspace.ITU601
        wanted = Format(
            width=width + self._even[1],
            height=height + self._even[0],
            rate=rate,
            crf=crf,
            preset="veryfast",
            keyframe_distance=KEYFRAME_DISTANCE,
            threads=THREADS,
            matrix=MATRIX_709 if height >= HD else MATRIX_601,
        )
        super().__init__(path, wanted)

    def add(self, picture: Picture) -> None:
        """Append a picture of blue, green and red; odd sizes are padded on the right and below."""
        if any(self._even):
            down, right = self._even
            picture = np.pad(picture, ((0, down), (0, right), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        self.write(frame.reformat(format="yuv420p", dst_colorspace=self._matrix, dst_color_range=ColorRange.MPEG))
