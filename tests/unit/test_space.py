"""Triangulation: known cameras give back known points, with lenses and without."""

import cv2
import numpy as np
import pytest

from consumers.analyzer import space
from schemas.models import Camera
from tests.dots.scene import CAMERAS, Array, path_in_space

BENT = [-0.28, 0.09, 0.001, -0.002, 0.0]


def cameras(distortion: list[float] | None) -> tuple[tuple[Camera, Camera], tuple[Array, Array], Array]:
    """Two cameras, what they see of many points, and the points."""
    points = path_in_space(40, 0.7).reshape(-1, 3)
    made, views = [], []
    for name, pinhole in CAMERAS.items():
        lens = np.array(distortion or [0.0] * 5)
        turn = cv2.Rodrigues(pinhole.turn)[0]
        seen, _ = cv2.projectPoints(points, turn, pinhole.shift, pinhole.matrix, lens)
        views.append(np.asarray(seen, float).reshape(-1, 2))
        bent = {"matrix": pinhole.matrix.tolist(), "distortion": distortion} if distortion else {}
        made.append(Camera.model_validate({"name": name, "projection": pinhole.projection.tolist()} | bent))
    return (made[0], made[1]), (views[0], views[1]), points


@pytest.mark.row("S1-18")
@pytest.mark.parametrize("distortion", [None, BENT])
def test_points_come_back_exactly(distortion: list[float] | None) -> None:
    rig, views, points = cameras(distortion)
    found = space.triangulated(rig, views, undistort=True)
    assert np.abs(found - points).max() < 1e-6
    assert space.reprojection(rig[0], found, views[0], undistort=True).max() < 1e-6


@pytest.mark.row("S1-18")
def test_a_pixel_of_noise_moves_them_by_little_and_a_lens_left_in_by_much() -> None:
    rig, views, points = cameras(BENT)
    random = np.random.default_rng(1)
    noisy = tuple(view + random.normal(0, 1, view.shape) for view in views)
    found = space.triangulated(rig, (noisy[0], noisy[1]), undistort=True)
    # One pixel is a tenth of a unit across at this distance; along the line of sight four times that.
    assert np.linalg.norm(found - points, axis=1).mean() < 0.6
    left_in = space.triangulated(rig, views, undistort=False)
    assert np.linalg.norm(left_in - points, axis=1).max() > 0.05
    assert space.triangulated(rig, (np.empty((0, 2)), np.empty((0, 2))), undistort=True).shape == (0, 3)
