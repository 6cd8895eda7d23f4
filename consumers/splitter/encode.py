"""Task videos: the samples of a task, upright, padded to even sizes, as H.264."""

from pathlib import Path

from consumers.media.h264 import H264, Format
from consumers.splitter.decode import Shot
from consumers.splitter.look import Look
from consumers.splitter.pixels import Pixels
from schemas.splitting import SplitVideo

THREADS = 3
KEYFRAME_DISTANCE = 10


class TaskVideo(H264):
    """One task video being written."""

    def __init__(self, path: Path, look: Look, params: SplitVideo, pixels: Pixels) -> None:
        wanted = Format(
            width=look.width + look.padding_right,
            height=look.height + look.padding_bottom,
            rate=params.rate,
            crf=params.crf,
            preset=params.preset,
            keyframe_distance=KEYFRAME_DISTANCE,
            threads=THREADS,
            matrix=look.matrix,
            primaries=look.primaries,
            transfer=look.transfer,
            pixel_aspect=look.pixel_aspect,
        )
        super().__init__(path, wanted)
        self._pixels = pixels

    def add(self, shot: Shot) -> None:
        """Append a frame as it came from the decoder; it is turned upright and padded here."""
        with shot.lock:
            self.write(self._pixels.yuv420(shot.frame))
