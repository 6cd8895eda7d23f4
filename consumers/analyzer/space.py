"""From the pixels of two cameras to points in space, by OpenCV's linear triangulation, as DeepLabCut does it. Pure."""

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.models import Camera

#: So that the iteration that takes a lens's distortion out is exact to far below what matters.
EXACT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)

Points = NDArray[np.float64]


def straightened(camera: Camera, pixels: Points, undistort: bool) -> Points:
    """Pixels (n x 2) as the camera's projection has them: without the lens, and turned as its rectification says."""
    if camera.matrix is None or not len(pixels):
        return pixels
    bent = camera.distortion if undistort and camera.distortion is not None else [0.0] * 4
    lens = np.array(camera.matrix, float)
    # A rectified camera has pixels of its own, those of its projection; any other keeps its lens's.
    turn, seen = np.eye(3), lens
    if camera.rectification is not None:
        turn, seen = np.array(camera.rectification, float), np.array(camera.projection, float)[:, :3]
    straight = cv2.undistortPointsIter(
        pixels.reshape(-1, 1, 2).astype(float),
        lens,
        np.array(bent, float),
        turn,
        seen,
        EXACT,
    )
    return np.asarray(straight, float).reshape(-1, 2)


def triangulated(cameras: tuple[Camera, Camera], views: tuple[Points, Points], undistort: bool) -> Points:
    """The points in space (n x 3) that two cameras see at these pixels (n x 2 each)."""
    if not len(views[0]):
        return np.empty((0, 3))
    one, two = (straightened(c, view, undistort).T.astype(float) for c, view in zip(cameras, views, strict=True))
    first, second = (np.array(camera.projection, float) for camera in cameras)
    found = cv2.triangulatePoints(first, second, np.ascontiguousarray(one), np.ascontiguousarray(two))
    placed: Points = (found[:3] / found[3]).T
    return placed


def reprojection(camera: Camera, points: Points, pixels: Points, undistort: bool) -> Points:
    """How far, in pixels, each point lies from where the camera saw it."""
    whole = np.hstack([points, np.ones((len(points), 1))]) @ np.array(camera.projection, float).T
    away: Points = np.linalg.norm(whole[:, :2] / whole[:, 2:] - straightened(camera, pixels, undistort), axis=1)
    return away
