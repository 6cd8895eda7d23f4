"""Augmentations: a picture and its boxes in, changed ones out. The same numbers give the same pixels.

Geometry is one affine map for pixels and corners; a box becomes the upright box around its mapped corners. What is
left of less than a fifth of it within the picture is dropped.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.datasets.labels import Object, clipped

Picture = NDArray[np.uint8]
Affine = NDArray[np.float64]
Random = np.random.Generator
LEAST_VISIBLE = 0.2
TURNS = {
    "rotate_90": cv2.ROTATE_90_CLOCKWISE,
    "rotate_180": cv2.ROTATE_180,
    "rotate_270": cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def augmented(
    name: str, picture: Picture, objects: Sequence[Object], interval: tuple[float, float], random: Random
) -> tuple[Picture, list[Object]]:
    """The picture and its objects, changed by an amount that is drawn from the interval."""
    amount = float(random.uniform(*interval))
    height, width = picture.shape[:2]
    if name in GEOMETRY:
        matrix, size = GEOMETRY[name](width, height, amount, random)
        changed = _warped(name, picture, matrix, size)
        return changed, _moved(objects, matrix, *size)
    return np.asarray(PIXELS[name](picture, amount, random), np.uint8), [dict(each) for each in objects]


def _warped(name: str, picture: Picture, matrix: Affine, size: tuple[int, int]) -> Picture:
    if name in TURNS:
        return np.asarray(cv2.rotate(picture, TURNS[name]), np.uint8)
    if name.startswith("flip"):
        return np.asarray(cv2.flip(picture, 1 if name == "flip_horizontal" else 0), np.uint8)
    # A pixel's place is its middle; a box's corner is the corner of a pixel.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    centred = np.linalg.inv(half) @ np.vstack([matrix, [0, 0, 1]]) @ half
    return np.asarray(cv2.warpAffine(picture, centred[:2], size, flags=cv2.INTER_LINEAR), np.uint8)


def _moved(objects: Sequence[Object], matrix: Affine, width: int, height: int) -> list[Object]:
    moved = []
    for each in objects:
        x, y, right, bottom = each["x"], each["y"], each["x"] + each["width"], each["y"] + each["height"]
        corners = np.array([[x, y, 1], [right, y, 1], [x, bottom, 1], [right, bottom, 1]]) @ matrix.T
        low, high = corners.min(axis=0), corners.max(axis=0)
        across, down = (float(value) for value in high - low)
        inside = clipped(float(low[0]), float(low[1]), across, down, width, height)
        if inside is not None and inside["width"] * inside["height"] >= LEAST_VISIBLE * across * down:
            moved.append({"class": each["class"], **inside})
    return moved


def _about_middle(width: int, height: int, linear: Sequence[Sequence[float]]) -> Affine:
    middle = np.array([width / 2, height / 2])
    turn = np.array(linear, np.float64)
    return np.column_stack([turn, middle - turn @ middle])


def _flip_horizontal(width: int, height: int, *_: object) -> tuple[Affine, tuple[int, int]]:
    return np.array([[-1.0, 0, width], [0, 1, 0]]), (width, height)


def _flip_vertical(width: int, height: int, *_: object) -> tuple[Affine, tuple[int, int]]:
    return np.array([[1.0, 0, 0], [0, -1, height]]), (width, height)


def _rotate_90(width: int, height: int, *_: object) -> tuple[Affine, tuple[int, int]]:
    return np.array([[0.0, -1, height], [1, 0, 0]]), (height, width)


def _rotate_180(width: int, height: int, *_: object) -> tuple[Affine, tuple[int, int]]:
    return np.array([[-1.0, 0, width], [0, -1, height]]), (width, height)


def _rotate_270(width: int, height: int, *_: object) -> tuple[Affine, tuple[int, int]]:
    return np.array([[0.0, 1, 0], [-1, 0, width]]), (height, width)


def _rotate(width: int, height: int, degrees: float, _: Random) -> tuple[Affine, tuple[int, int]]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return _about_middle(width, height, [[cos, -sin], [sin, cos]]), (width, height)


def _shear_x(width: int, height: int, degrees: float, _: Random) -> tuple[Affine, tuple[int, int]]:
    return _about_middle(width, height, [[1, math.tan(math.radians(degrees))], [0, 1]]), (width, height)


def _shear_y(width: int, height: int, degrees: float, _: Random) -> tuple[Affine, tuple[int, int]]:
    return _about_middle(width, height, [[1, 0], [math.tan(math.radians(degrees)), 1]]), (width, height)


def _shear(width: int, height: int, degrees: float, random: Random) -> tuple[Affine, tuple[int, int]]:
    return (_shear_x if random.integers(2) else _shear_y)(width, height, degrees, random)


def _crop(width: int, height: int, share: float, random: Random) -> tuple[Affine, tuple[int, int]]:
    """Cut so much away, anywhere, and enlarge what is left; a negative share adds black instead."""
    left, top = (float(random.uniform(0, share * side)) if share > 0 else share * side / 2 for side in (width, height))
    scale = 1 / (1 - share)
    return np.array([[scale, 0, -left * scale], [0, scale, -top * scale]]), (width, height)


GEOMETRY: Mapping[str, Callable[[int, int, float, Random], tuple[Affine, tuple[int, int]]]] = {
    "flip_horizontal": _flip_horizontal,
    "flip_vertical": _flip_vertical,
    "rotate_90": _rotate_90,
    "rotate_180": _rotate_180,
    "rotate_270": _rotate_270,
    "rotate": _rotate,
    "shear": _shear,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "crop": _crop,
    "crop_pad": _crop,
}


def _bytes(values: NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _odd(amount: float) -> int:
    return 2 * (max(1, round(amount)) // 2) + 1


def _grayscale(picture: Picture, *_: object) -> Picture:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


def _blur_gaussian(picture: Picture, sigma: float, _: Random) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.01)), np.uint8)


def _blur_average(picture: Picture, side: float, _: Random) -> Picture:
    return np.asarray(cv2.blur(picture, (max(1, round(side)), max(1, round(side)))), np.uint8)


def _blur_median(picture: Picture, side: float, _: Random) -> Picture:
    return np.asarray(cv2.medianBlur(picture, _odd(side)), np.uint8)


def _noise_gaussian(picture: Picture, sigma: float, random: Random) -> Picture:
    return _bytes(picture + random.normal(0, sigma, picture.shape))


def _noise_laplace(picture: Picture, spread: float, random: Random) -> Picture:
    return _bytes(picture + random.laplace(0, spread, picture.shape))


def _brightness_add(picture: Picture, levels: float, _: Random) -> Picture:
    return _bytes(picture + levels)


def _brightness_multiply(picture: Picture, factor: float, _: Random) -> Picture:
    return _bytes(picture * factor)


def _in_hsv(
    channel: int, change: Callable[[NDArray[np.float32], float], NDArray[np.float32]]
) -> Callable[..., Picture]:
    def apply(picture: Picture, amount: float, _: Random) -> Picture:
        hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV).astype(np.float32)
        hsv[:, :, channel] = change(hsv[:, :, channel], amount)
        return np.asarray(cv2.cvtColor(np.rint(hsv).astype(np.uint8), cv2.COLOR_HSV2BGR), np.uint8)

    return apply


def _contrast_gamma(picture: Picture, gamma: float, _: Random) -> Picture:
    table = _bytes(255 * (np.arange(256) / 255) ** gamma)
    return np.asarray(cv2.LUT(picture, table), np.uint8)


def _contrast_sigmoid(picture: Picture, gain: float, _: Random) -> Picture:
    table = _bytes(255 / (1 + np.exp(gain * (0.5 - np.arange(256) / 255))))
    return np.asarray(cv2.LUT(picture, table), np.uint8)


def _sharpen(picture: Picture, share: float, _: Random) -> Picture:
    kernel = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]], np.float32)
    sharp = cv2.filter2D(picture, -1, kernel)
    return np.asarray(cv2.addWeighted(sharp, share, picture, 1 - share, 0), np.uint8)


# OpenCV's hue has 180 steps; an amount in degrees has twice as many.
PIXELS: Mapping[str, Callable[[Picture, float, Random], Picture]] = {
    "grayscale": _grayscale,
    "blur_gaussian": _blur_gaussian,
    "blur_average": _blur_average,
    "blur_median": _blur_median,
    "noise_gaussian": _noise_gaussian,
    "noise_laplace": _noise_laplace,
    "brightness_add": _brightness_add,
    "brightness_multiply": _brightness_multiply,
    "hue_add": _in_hsv(0, lambda hue, degrees: np.mod(np.rint(hue + degrees / 2), 180)),
    "hue_multiply": _in_hsv(0, lambda hue, factor: np.mod(np.rint(hue * factor), 180)),
    "saturation_add": _in_hsv(1, lambda saturation, levels: np.clip(saturation + levels, 0, 255)),
    "saturation_multiply": _in_hsv(1, lambda saturation, factor: np.clip(saturation * factor, 0, 255)),
    "contrast_gamma": _contrast_gamma,
    "contrast_sigmoid": _contrast_sigmoid,
    "sharpen": _sharpen,
}
