"""The built-in tracker: coloured spots, found frame by frame by their colour. No weights, no training, no memory.

It is what it says and no more: the likelihood is the share of all matching pixels that lie in the region it chose, so
it is 1 when nothing else in the picture looks the same, lower when something does, and 0 when nothing was found.
"""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.analyzer.footage import Picture

ENGINE = "opencv spots 1"
EIGHT = 8
NOTHING = (np.nan, np.nan, 0.0)


def find(points: list[dict[str, Any]], pictures: Iterable[Picture]) -> NDArray[np.float64]:
    """Frames x points x (x, y, likelihood). Coordinates are those of pixel centres, from 0."""
    found = [[_spot(picture, point) for point in points] for picture in pictures]
    return np.array(found, float).reshape(len(found), len(points), 3)


def _spot(picture: Picture, point: dict[str, Any]) -> tuple[float, float, float]:
    closeness, (left, top) = _closeness(picture, point)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((closeness > 0).astype(np.uint8), connectivity=EIGHT)
    if count < 2:
        return NOTHING
    areas = stats[1:, cv2.CC_STAT_AREA]
    best = int(np.argmax(areas))
    if areas[best] < point["least_area"]:
        return NOTHING
    x, y, width, height = stats[best + 1, :4]
    inside = labels[y : y + height, x : x + width] == best + 1
    weights = np.where(inside, closeness[y : y + height, x : x + width], 0).astype(float)
    total = weights.sum()
    rows, columns = weights.sum(axis=1), weights.sum(axis=0)
    across = float(columns @ np.arange(width)) / total
    down = float(rows @ np.arange(height)) / total
    return left + x + across, top + y + down, float(areas[best] / areas.sum())


def _closeness(picture: Picture, point: dict[str, Any]) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """For each pixel of the part that may match, how well it does: above 0 when it does. And the part's corner."""
    tolerance = float(point["tolerance"])
    if point["colour"] is None:
        usual = np.median(picture.reshape(-1, 3), axis=0).astype(np.float32)
        away: NDArray[np.float32] = np.linalg.norm(picture - usual, axis=2) - tolerance
        return np.maximum(away, 0), (0, 0)
    wanted = np.array(point["colour"][::-1], np.float32)
    # A look at each colour by itself is quick, and leaves little to measure.
    low, high = np.clip(wanted - tolerance, 0, 255), np.clip(wanted + tolerance, 0, 255)
    left, top, width, height = cv2.boundingRect(cv2.inRange(picture, low, high))
    part = picture[top : top + height, left : left + width].astype(np.float32)
    near: NDArray[np.float32] = 1 - np.linalg.norm(part - wanted, axis=2) / tolerance
    if not near.size:
        near = np.zeros((1, 1), np.float32)
    return np.maximum(near, 0), (left, top)
