"""Detectors: pictures in, boxes out, several pictures at a time. A new one is a class here and a line in `detector`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.outcome import Rejected
from schemas.detection import Detector

Picture = NDArray[np.uint8]
SMALLEST_SIDE = 4


@dataclass(frozen=True)
class Found:
    """A box in pixels from the top left corner, with how sure the detector is (0 to 1)."""

    label: str
    x: float
    y: float
    width: float
    height: float
    confidence: float


class Detecting(Protocol):
    """Whoever can find boxes. Pictures are BGR."""

    def find(self, pictures: Sequence[Picture]) -> list[list[Found]]:
        """The boxes on each picture."""


def detector(settings: Detector, model: Path | None) -> Detecting:
    """The built-in detector, or one with a model. Raises Rejected(`unreadable_model`)."""
    return Contrast(settings) if model is None else Onnx(settings, model)


class Contrast:
    """What differs from the background: needs no model. Its one class is the first label."""

    def __init__(self, settings: Detector) -> None:
        self._settings = settings

    def find(self, pictures: Sequence[Picture]) -> list[list[Found]]:
        """The outlines of what is far from the picture's usual colour; sure is what fills its box."""
        return [self._find(picture) for picture in pictures]

    def _find(self, picture: Picture) -> list[Found]:
        usual = np.median(picture.reshape(-1, 3)[::7], axis=0).astype(np.uint8)
        distance = cv2.absdiff(picture, np.full_like(picture, usual)).max(axis=2)
        _, mask = cv2.threshold(distance, 48, 255, cv2.THRESH_BINARY)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        found = []
        for outline in outlines:
            x, y, width, height = cv2.boundingRect(outline)
            filled = cv2.countNonZero(mask[y : y + height, x : x + width]) / (width * height)
            if min(width, height) >= SMALLEST_SIDE and filled >= self._settings.threshold:
                found.append(Found(self._settings.labels[0], x, y, width, height, round(filled, 6)))
        return sorted(found, key=lambda box: (box.y, box.x))


class Onnx:
    """A YOLO model in ONNX format, run by OpenCV on the CPU.

    Knows the output of YOLOv8 and later (1 x (4 + classes) x boxes) and of YOLOv5 and v7 (1 x boxes x (5 + classes)).
    """

    def __init__(self, settings: Detector, model: Path) -> None:
        self._settings = settings
        try:
            self._net = cv2.dnn.readNetFromONNX(str(model))
        except cv2.error as error:
            raise Rejected("unreadable_model", "The model is not an ONNX file that OpenCV can read.") from error

    def find(self, pictures: Sequence[Picture]) -> list[list[Found]]:
        """The boxes on each picture, one picture after the other: exported models take one at a time."""
        return [self._find(picture) for picture in pictures]

    def _find(self, picture: Picture) -> list[Found]:
        height, width = picture.shape[:2]
        side = self._settings.size
        scale = side / max(height, width)
        canvas = np.full((side, side, 3), 114, np.uint8)
        small = cv2.resize(picture, (max(1, round(width * scale)), max(1, round(height * scale))))
        canvas[: small.shape[0], : small.shape[1]] = small
        try:
            self._net.setInput(cv2.dnn.blobFromImage(canvas, 1 / 255, (side, side), swapRB=True))
            output = np.asarray(self._net.forward(), np.float32)
            return self._boxes(output, scale, width, height)
        except (cv2.error, ValueError, IndexError) as error:
            raise Rejected("unusable_model", "The model does not answer as a YOLO model does.") from error

    def _boxes(self, output: NDArray[np.float32], scale: float, width: int, height: int) -> list[Found]:
        rows: NDArray[np.float32] = output.reshape(output.shape[-2], output.shape[-1])
        classes = len(self._settings.labels)
        down, across = output.shape[-2], output.shape[-1]
        if down == 4 + classes:
            rows = rows.transpose()
            scores = rows[:, 4:]
        elif across == 5 + classes:
            scores = rows[:, 5:] * rows[:, 4:5]
        else:
            raise ValueError(f"an output of {down} x {across} is not one for {classes} labels")
        best = scores.argmax(axis=1)
        sure = scores[np.arange(len(rows)), best]
        chosen = np.flatnonzero(sure >= self._settings.threshold)
        if not len(chosen):
            return []
        corners = np.concatenate([rows[chosen, :2] - rows[chosen, 2:4] / 2, rows[chosen, 2:4]], axis=1) / scale
        kept = cv2.dnn.NMSBoxesBatched(
            corners.tolist(),
            sure[chosen].tolist(),
            best[chosen].tolist(),
            self._settings.threshold,
            self._settings.overlap,
        )
        return [self._found(corners[n], int(best[chosen[n]]), float(sure[chosen[n]]), width, height) for n in kept]

    def _found(self, corner: NDArray[np.float32], kind: int, sure: float, width: int, height: int) -> Found:
        x, y = max(0.0, float(corner[0])), max(0.0, float(corner[1]))
        right, bottom = min(width, float(corner[0] + corner[2])), min(height, float(corner[1] + corner[3]))
        label = self._settings.labels[kind]
        return Found(label, x, y, max(right - x, 1e-3), max(bottom - y, 1e-3), min(1.0, round(sure, 6)))
