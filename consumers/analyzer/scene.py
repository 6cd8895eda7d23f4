"""Points in space as a picture: seen from one side, without perspective, in a box that holds them all."""

from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.analyzer.drawing import Pen
from consumers.analyzer.footage import Picture
from consumers.analyzer.poses import Track

SIZE = 720
MARGIN = 1.25
EDGE = (205, 205, 205)
INK = (80, 80, 80)


class Scene:
    """A view of a track in space. Angles in degrees; the cameras' y points down, so up is -y."""

    def __init__(self, track: Track, pen: Pen, azimuth: float, elevation: float) -> None:
        self._pen = pen
        values = track.values
        low, high = np.nanmin(values, axis=(0, 1)), np.nanmax(values, axis=(0, 1))
        self._centre, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-9)
        self._turn = _turn(np.radians(azimuth), np.radians(elevation))
        self._scale = SIZE / 2 / (half * np.sqrt(3) * MARGIN)
        self._seen = np.asarray(np.isfinite(values).all(axis=-1))
        self._flat = self._projected(values)
        self._box = self._projected(self._centre + half * np.array(list(product((-1, 1), repeat=3)), float))

    def picture(self, frame: int) -> Picture:
        """One frame."""
        picture: Picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
        for a, b in ((a, b) for a, b in product(range(8), repeat=2) if a < b and (a ^ b) in {1, 2, 4}):
            start, end = (tuple(int(v) for v in np.round(self._box[n])) for n in (a, b))
            cv2.line(picture, start, end, EDGE, 1, cv2.LINE_AA)
        self._pen.draw(picture, self._flat, self._seen, frame)
        cv2.putText(picture, f"frame {frame}", (16, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.6, INK, 1, cv2.LINE_AA)
        return picture

    def _projected(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = (points - self._centre) @ self._turn.T
        flat: NDArray[np.float64] = SIZE / 2 + self._scale * turned[..., :2]
        return flat


def _turn(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """From the cameras' axes (right, down, ahead) to the picture's (right, down, away)."""
    cos_a, sin_a, cos_e, sin_e = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
    around = np.array([[cos_a, 0, sin_a], [0, 1, 0], [-sin_a, 0, cos_a]])
    over = np.array([[1, 0, 0], [0, cos_e, -sin_e], [0, sin_e, cos_e]])
    turned: NDArray[np.float64] = over @ around
    return turned
