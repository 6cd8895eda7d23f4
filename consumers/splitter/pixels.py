"""Decoded frames to upright pixels: BGR for pictures, even-sized 4:2:0 for task videos.

One `Pixels` per thread: it keeps a scaler's state. What the pictures should look like is decided in `look`.
"""

from typing import Any

import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from consumers.splitter.look import BT709, UNTAGGED, Look

Bytes = NDArray[np.uint8]


class Pixels:
    """Converts frames of one source. Frames of another size (the stream changed on the way) are scaled to its look."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._scaler = VideoReformatter()

    def bgr(self, frame: VideoFrame) -> Bytes:
        """Upright picture, shape (height, width, 3), rows contiguous."""
        plain = self._convert(frame, "bgr24")
        height, width = self._look.coded_height, self._look.coded_width
        picture = _rows(plain, 0, height, width * 3).reshape(height, width, 3)
        return np.ascontiguousarray(np.rot90(picture, self._look.turns)) if self._look.turns else picture

    def yuv420(self, frame: VideoFrame) -> VideoFrame:
        """Upright picture in limited range, padded to even size; the frame itself when it is that already."""
        ranges = {"dst_color_range": ColorRange.MPEG}
        if frame.color_range == ColorRange.UNSPECIFIED and frame.format.name == "yuv420p":
            # Untagged 4:2:0 is limited already. Said so, the frame is taken as it is; otherwise it would be copied.
            ranges["src_color_range"] = ColorRange.MPEG
        plain = self._convert(frame, "yuv420p", **ranges)
        look = self._look
        if not (look.turns or look.padding_right or look.padding_bottom):
            return plain
        return _upright(plain, look)

    def _convert(self, frame: VideoFrame, layout: str, **options: Any) -> VideoFrame:
        look = self._look
        if look.matrix_assumed:
            matrix = Colorspace.ITU709 if look.matrix == BT709 else Colorspace.ITU601
            options["dst_colorspace"] = matrix
            if frame.colorspace == UNTAGGED:
                options["src_colorspace"] = matrix
        return self._scaler.reformat(
            frame, width=look.coded_width, height=look.coded_height, format=layout, threads=1, **options
        )


def _rows(frame: VideoFrame, plane: int, height: int, width: int) -> Bytes:
    """One plane as a view without the padding at the end of its lines: (height, width in bytes)."""
    source = frame.planes[plane]
    rows: Bytes = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)
    return rows[:height, :width]


def _upright(frame: VideoFrame, look: Look) -> VideoFrame:
    """Rotate and pad the three planes. Chroma of an odd size is rounded up already, so only luma grows."""
    half_height, half_width = (frame.height + 1) // 2, (frame.width + 1) // 2
    sizes = ((frame.height, frame.width), (half_height, half_width), (half_height, half_width))
    luma, *chroma = (np.rot90(_rows(frame, index, *size), look.turns) for index, size in enumerate(sizes))
    luma = np.pad(luma, ((0, look.padding_bottom), (0, look.padding_right)), mode="edge")
    flat = np.concatenate([plane.reshape(-1) for plane in (luma, *chroma)])
    return VideoFrame.from_ndarray(flat.reshape(-1, luma.shape[1]), format="yuv420p")
