"""Points drawn into pictures: a colour for each, dots, a skeleton, trails."""

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.analyzer.footage import Picture

BONE = (190, 190, 190)
SHIFT = 4
"""Positions are drawn to a sixteenth of a pixel."""


def colours(number: int) -> list[tuple[int, int, int]]:
    """So many colours, far apart in hue, as red, green and blue."""
    parts = [colorsys.hsv_to_rgb(n / max(number, 1), 1.0, 1.0) for n in range(number)]
    return [(round(r * 255), round(g * 255), round(b * 255)) for r, g, b in parts]


@dataclass(frozen=True)
class Pen:
    """How to draw points of these names."""

    points: tuple[str, ...]
    skeleton: Iterable[tuple[str, str]]
    dot_size: int
    trail: int = 0

    def draw(self, picture: Picture, track: NDArray[np.float64], seen: NDArray[np.bool_], frame: int) -> None:
        """Draw one frame of a track (frames x points x (x, y, ...)) into a picture of blue, green and red."""
        for a, b in self._bones():
            if seen[frame, a] and seen[frame, b]:
                cv2.line(picture, _place(track[frame, a]), _place(track[frame, b]), BONE, 1, cv2.LINE_AA, SHIFT)
        for n, (red, green, blue) in enumerate(colours(len(self.points))):
            self._trail(picture, track[:, n], seen[:, n], frame, (blue, green, red))
            if seen[frame, n]:
                radius = self.dot_size << SHIFT
                cv2.circle(picture, _place(track[frame, n]), radius, (blue, green, red), -1, cv2.LINE_AA, SHIFT)

    def _trail(
        self,
        picture: Picture,
        path: NDArray[np.float64],
        seen: NDArray[np.bool_],
        frame: int,
        colour: tuple[int, int, int],
    ) -> None:
        for k in range(max(1, frame - self.trail + 1), frame + 1) if self.trail else ():
            if seen[k] and seen[k - 1]:
                cv2.line(picture, _place(path[k - 1]), _place(path[k]), colour, 1, cv2.LINE_AA, SHIFT)

    def _bones(self) -> list[tuple[int, int]]:
        place = {name: n for n, name in enumerate(self.points)}
        return [(place[a], place[b]) for a, b in self.skeleton if a in place and b in place]


def _place(point: NDArray[np.float64]) -> tuple[int, int]:
    # Far outside there is nothing to see, and OpenCV's whole numbers end.
    x, y = np.clip(point[:2], -10_000, 40_000)
    return round(float(x) * (1 << SHIFT)), round(float(y) * (1 << SHIFT))
