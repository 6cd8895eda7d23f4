"""Task videos: H.264 that every browser plays and that seeks to the frame.

Frame i has timestamp i in ticks of 1 / rate; a player shows exactly it when sought to (i + 0.5) / rate. The same
frames and settings give the same bytes on every run: nothing here may depend on the clock or the number of cores.
"""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.codec.context import ThreadType
from av.video.stream import VideoStream

from consumers.splitter.decode import Shot
from consumers.splitter.look import Look
from consumers.splitter.pixels import Pixels
from schemas.splitting import SplitVideo

# x264's output depends on how many threads it uses, so the number is part of the format.
THREADS = 3
KEYFRAME_DISTANCE = 10
LIMITED_RANGE = 1


class TaskVideo:
    """One task video being written to `path`. The file is complete when the block is left."""

    def __init__(self, path: Path, look: Look, params: SplitVideo, pixels: Pixels) -> None:
        self.path = path
        self.frames = 0
        self._tick = 1 / params.rate
        self._pixels = pixels
        self._file = av.open(path, mode="w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._file.add_stream("libx264", rate=params.rate, options=_options(params))
        _describe(self._stream, look, self._tick)

    def add(self, shot: Shot) -> None:
        """Append a frame as it came from the decoder; it is turned upright and padded here."""
        with shot.lock:
            picture = self._pixels.yuv420(shot.frame)
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


def _options(params: SplitVideo) -> dict[str, str]:
    return {"preset": params.preset, "crf": str(params.crf), "g": str(KEYFRAME_DISTANCE), "bf": "0"}


def _describe(stream: VideoStream, look: Look, tick: Fraction) -> None:
    codec = stream.codec_context
    codec.width, codec.height = look.width + look.padding_right, look.height + look.padding_bottom
    codec.pix_fmt = "yuv420p"
    codec.time_base = tick
    codec.thread_count, codec.thread_type = THREADS, ThreadType.FRAME
    codec.sample_aspect_ratio = look.pixel_aspect
    codec.color_range, codec.colorspace = LIMITED_RANGE, look.matrix
    codec.color_primaries, codec.color_trc = look.primaries, look.transfer
