"""Videos that every browser plays and that seek to the frame: H.264, yuv420p, the index in front.

Frame i has timestamp i in ticks of 1 / rate; a player shows exactly it when sought to (i + 0.5) / rate. The same
frames and settings give the same bytes on every run: nothing here may depend on the clock or the number of cores.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av import VideoFrame
from av.codec.context import ThreadType

LIMITED_RANGE, UNTAGGED = 1, 2


@dataclass(frozen=True)
class Format:
    """What a video is to be: even width and height, frames a second, x264's settings, H.273 codes of the colours."""

    width: int
    height: int
    rate: Fraction
    crf: int
    preset: str
    keyframe_distance: int
    #: x264's output depends on how many it uses, so the number is part of the format.
    threads: int
    matrix: int
    primaries: int = UNTAGGED
    transfer: int = UNTAGGED
    pixel_aspect: Fraction = Fraction(1)

    def options(self) -> dict[str, str]:
        """For the encoder."""
        return {"preset": self.preset, "crf": str(self.crf), "g": str(self.keyframe_distance), "bf": "0"}


class H264:
    """One video being written to `path`. The file is complete when the block is left."""

    def __init__(self, path: Path, wanted: Format) -> None:
        self.path = path
        self.frames = 0
        self._tick = 1 / wanted.rate
        self._file = av.open(path, mode="w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._file.add_stream("libx264", rate=wanted.rate, options=wanted.options())
        codec = self._stream.codec_context
        codec.width, codec.height, codec.pix_fmt = wanted.width, wanted.height, "yuv420p"
        codec.time_base = self._tick
        codec.thread_count, codec.thread_type = wanted.threads, ThreadType.FRAME
        codec.sample_aspect_ratio = wanted.pixel_aspect
        codec.color_range, codec.colorspace = LIMITED_RANGE, wanted.matrix
        codec.color_primaries, codec.color_trc = wanted.primaries, wanted.transfer

    def write(self, picture: VideoFrame) -> None:
        """Append a picture in yuv420p."""
        picture.pts, picture.time_base, picture.duration = self.frames, self._tick, 1
        # Otherwise the source's own frame types would steer the encoder.
        picture.pict_type = 0
        self._file.mux(self._stream.encode(picture))
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
