"""A calibrated DeepLabCut 3-D project, written as its `calibrate_cameras` writes one: from cameras that are known."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import yaml

from tests.dots.scene import CAMERAS, HEIGHT, WIDTH, Array


def make(folder: Path) -> Path:
    """Write the project into a folder; returns it."""
    (folder / "camera_matrix").mkdir(parents=True)
    names = list(CAMERAS)
    project = {
        "Task": "dots",
        "scorer": "tests",
        "date": "Jan1",
        "project_path": "/somewhere/else",
        "pcutoff": 0.3,
        "num_cameras": 2,
        "camera_names": names,
        "scorername_3d": "DLC_3D",
        "skeleton": [["nose", "tail"]],
        **{f"config_file_{name}": "/somewhere/else/config.yaml" for name in names},
        **{f"shuffle_{name}": 1 for name in names},
        **{f"trainingsetindex_{name}": 0 for name in names},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
    with (folder / "camera_matrix" / "stereo_params.pickle").open("wb") as out:
        pickle.dump({"-".join(names): stereo()}, out)
    return folder


def stereo() -> dict[str, Array]:
    """What a perfect calibration of the two cameras would have found."""
    first, second = CAMERAS.values()
    turn = second.turn @ first.turn.T
    shift = second.shift - turn @ first.shift
    straight = np.zeros((1, 5))
    size = (WIDTH, HEIGHT)
    turn1, turn2, sight1, sight2, depth, _, _ = cv2.stereoRectify(
        first.matrix, straight, second.matrix, straight, size, turn, shift, alpha=0.9
    )
    cameras = {"cameraMatrix1": first.matrix, "cameraMatrix2": second.matrix}
    lenses = {"distCoeffs1": straight, "distCoeffs2": straight}
    x, y, z = shift
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ turn
    fundamental = np.linalg.inv(second.matrix).T @ essential @ np.linalg.inv(first.matrix)
    cameras |= {"E": essential, "F": fundamental}
    found = {"R": turn, "T": shift, "R1": turn1, "R2": turn2, "P1": sight1, "P2": sight2, "Q": depth}
    return {name: np.asarray(value, float) for name, value in (cameras | lenses | found).items()}


def rectified(space: Array) -> Array:
    """Points of the world as the rig places them: in front of its rectified first camera."""
    first = next(iter(CAMERAS.values()))
    placed: Array = (space @ first.turn.T + first.shift) @ stereo()["R1"].T
    return placed
