"""Frames as JPEG files and thumbnails, made and stored by a small pool so that decoding never waits for the network.

The number of pictures in flight is bounded by bytes. Nothing here may decide what is sampled or when it is committed.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore, local

import cv2
import numpy as np

from consumers.artifacts import Artifact
from consumers.ports import Workspace
from consumers.splitter.decode import Shot
from consumers.splitter.look import Look
from consumers.splitter.pixels import Bytes, Pixels
from schemas.splitting import SplitVideo

THUMBNAIL_SIDE = 250
JPEG = "image/jpeg"


def frame_name(number: int) -> str:
    """Artifact name of the picture of sample k."""
    return f"frames/{number:06d}.jpg"


def thumbnail_name(number: int) -> str:
    """Artifact name of the thumbnail of sample k."""
    return f"thumbnails/{number:06d}.jpg"


class Pictures:
    """Makes and stores the pictures of samples on `pool`, at most `in_flight` of them at a time."""

    def __init__(
        self, pool: ThreadPoolExecutor, workspace: Workspace, look: Look, params: SplitVideo, in_flight: int
    ) -> None:
        self._pool, self._workspace = pool, workspace
        self._look, self._params = look, params
        self._free = BoundedSemaphore(in_flight)
        self._mine = local()

    def submit(self, number: int, shot: Shot) -> "Future[tuple[Artifact, ...]]":
        """Start on the pictures of sample k; waits while too many are in flight. Its future raises as `store` does."""
        self._free.acquire()
        future = self._pool.submit(self._make, number, shot)
        future.add_done_callback(lambda _: self._free.release())
        return future

    def _make(self, number: int, shot: Shot) -> tuple[Artifact, ...]:
        with shot.lock:
            picture = self._pixels().bgr(shot.frame)
        stored = [self._workspace.store(frame_name(number), self._jpeg(picture), JPEG)]
        if self._params.thumbnails:
            small = self._jpeg(thumbnail(picture))
            stored.append(self._workspace.store(thumbnail_name(number), small, JPEG))
        return tuple(stored)

    def _jpeg(self, picture: Bytes) -> bytes:
        return jpeg(picture, self._params.image_quality)

    def _pixels(self) -> Pixels:
        """The scaler of this thread: it is not safe to share."""
        if not hasattr(self._mine, "pixels"):
            cv2.setNumThreads(1)
            self._mine.pixels = Pixels(self._look)
        pixels: Pixels = self._mine.pixels
        return pixels


def jpeg(picture: Bytes, quality: int) -> bytes:
    """A BGR picture as JPEG, 4:2:0, `quality` 1 to 100."""
    written, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert written
    encoded: bytes = data.tobytes()
    return encoded


def thumbnail(picture: Bytes) -> Bytes:
    """The picture within 250 x 250 pixels, aspect kept; one that is small enough already is left as it is."""
    height, width = picture.shape[:2]
    scale = THUMBNAIL_SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
