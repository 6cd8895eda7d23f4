"""Videos and pictures as the analyses read them: looked at before they are decoded, decoded as DeepLabCut does it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.media.reel import UNREADABLE, open_reel, packets
from consumers.outcome import Rejected

GUESSED_RATE = Fraction(25)

Picture = NDArray[np.uint8]
"""Rows of blue, green and red, as OpenCV has them."""


@dataclass(frozen=True)
class Footage:
    """A video that can be opened. `promised`: the frames that its container says it shows. Pixels; frames a second."""

    path: Path
    width: int
    height: int
    rate: Fraction
    promised: int


def look(path: Path) -> Footage:
    """What a video promises. Raises Rejected: `unreadable_video`, `no_video_stream`, `no_frames`."""
    promised, rate = _promise(path)
    opened = _opened(path)
    try:
        width, height = (int(opened.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    finally:
        opened.release()
    return Footage(path, width, height, rate, promised)


def frames(footage: Footage, seen: Callable[[float], None]) -> Iterator[Picture]:
    """The frames one after another; `seen` is told the share that has been read."""
    opened = _opened(footage.path)
    try:
        number = 0
        while True:
            good, picture = opened.read()
            if not good or picture is None:
                return
            number += 1
            yield np.ascontiguousarray(picture)
            seen(min(1.0, number / footage.promised))
    finally:
        opened.release()


def checked(footage: Footage, decoded: int, allow_damaged: bool) -> list[str]:
    """Warnings about frames that are missing. Raises Rejected(`video_damaged`) unless they may be, or if all are."""
    if decoded == 0:
        raise Rejected("no_frames", "Not a single frame of the video can be decoded.")
    if decoded >= footage.promised:
        return []
    if not allow_damaged:
        message = f"Only {decoded} of {footage.promised} frames can be decoded; `allow_damaged` analyses those."
        raise Rejected("video_damaged", message)
    return [f"video_damaged: {decoded} of {footage.promised} frames can be decoded"]


def picture(path: Path) -> Picture:
    """A picture, upright. Raises Rejected(`unreadable_image`)."""
    try:
        read = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        read = None
    if read is None:
        raise Rejected("unreadable_image", "The file is not a picture that can be read.")
    return np.asarray(read, np.uint8)


def _promise(path: Path) -> tuple[int, Fraction]:
    with open_reel(path) as (container, stream):
        rate = Fraction(stream.average_rate or stream.guessed_rate or GUESSED_RATE)
        header, shown, hidden = stream.frames, 0, 0
        for packet in packets(container, stream):
            shown += bool(packet.size) and not packet.is_discard
            hidden += bool(packet.size) and packet.is_discard
    if not shown:
        raise Rejected("no_frames", "The video has no frames.")
    return max(shown, header - hidden), rate


def _opened(path: Path) -> cv2.VideoCapture:
    opened = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not opened.isOpened():
        raise Rejected("unreadable_video", UNREADABLE)
    return opened
