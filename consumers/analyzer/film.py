"""Labelled videos: H.264 with yuv420p, which every browser plays, a frame for each frame of the source."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from consumers.analyzer.footage import Picture

# x264's output depends on how many threads it uses, so the number is part of the format.
THREADS = 2
KEYFRAME_DISTANCE = 30
HD = 720
#: H.273 codes of the matrices of large and of small pictures.
MATRIX_709, MATRIX_601 = 1, 6
LIMITED = 1


class Film:
    """One video being written to `path`. The file is complete when the block is left."""

    def __init__(self, path: Path, width: int, height: int, rate: Fraction, crf: int) -> None:
        self.frames = 0
        self._even = (height % 2, width % 2)
        self._matrix = Colorspace.ITU709 if height >= HD else Colorspace.ITU601
        self._tick = 1 / rate
        self._file = av.open(path, mode="w", format="mp4", options={"movflags": "+faststart"})
        options = {"preset": "veryfast", "crf": str(crf), "g": str(KEYFRAME_DISTANCE), "bf": "0"}
        self._stream = self._file.add_stream("libx264", rate=rate, options=options)
        codec = self._stream.codec_context
        codec.width, codec.height = width + self._even[1], height + self._even[0]
        codec.pix_fmt, codec.time_base, codec.thread_count = "yuv420p", self._tick, THREADS
        codec.color_range, codec.colorspace = LIMITED, MATRIX_709 if height >= HD else MATRIX_601

    def add(self, picture: Picture) -> None:
        """Append a picture of blue, green and red; odd sizes are padded on the right and below."""
        if any(self._even):
            down, right = self._even
            picture = np.pad(picture, ((0, down), (0, right), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(
            format="yuv420p", dst_colorspace=self._matrix, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = self.frames, self._tick
        self._file.mux(self._stream.encode(frame))
        self.frames += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what the encoder still holds, then the index in front of it; after an error only let go of both."""
        try:
            if error is None:
                self._file.mux(self._stream.encode(None))
        finally:
            self._file.close()
