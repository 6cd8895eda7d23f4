"""A person's centre of mass, from fifteen landmarks in the plane. Pure.

Each segment of the body counts with its share of the mass, at the middle of the landmarks that bound it; the head at
the nose. A frame in which a landmark is missing has no centre of mass.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consumers.analyzer.poses import Track, write_table
from consumers.outcome import Rejected

SIDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")
LANDMARKS = ("nose", *(f"{side}_{name}" for name in SIDED for side in ("left", "right")))
TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
LIMBS = {
    ("wrist", "elbow"): 0.022,
    ("elbow", "shoulder"): 0.028,
    ("knee", "hip"): 0.100,
    ("ankle", "knee"): 0.0465,
    ("toe", "ankle"): 0.0145,
}
#: Landmarks that bound a segment, and its share of the mass: 1 altogether.
SEGMENTS: Mapping[tuple[str, ...], float] = {
    ("nose",): 0.081,
    TRUNK: 0.497,
    **{(f"{side}_{a}", f"{side}_{b}"): mass for (a, b), mass in LIMBS.items() for side in ("left", "right")},
}
CENTRE = "centre_of_mass"


def require(points: tuple[str, ...]) -> None:
    """Raises Rejected(`landmarks_missing`) when these are not all that it takes."""
    missing = [name for name in LANDMARKS if name not in points]
    if missing:
        message = f"The centre of mass takes {len(LANDMARKS)} landmarks; the model has no {', '.join(missing)}."
        raise Rejected("landmarks_missing", message)


def centres(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frames x (x, y): the centres of mass for frames x landmarks x (x, y)."""
    weights = np.zeros(len(LANDMARKS))
    for bounds, mass in SEGMENTS.items():
        for name in bounds:
            weights[LANDMARKS.index(name)] += mass / len(bounds)
    found: NDArray[np.float64] = np.einsum("fpc,p->fc", places, weights)
    return found


def write(track: Track, pcutoff: float, path: Path) -> None:
    """Write the landmarks and the centre of mass, x and y each: 32 columns. What is missing is an empty cell."""
    order = [track.points.index(name) for name in LANDMARKS]
    seen = track.seen(pcutoff)[:, order, None]
    places = np.where(seen, track.values[:, order, :2], np.nan)
    whole = np.concatenate([places, centres(places)[:, None]], axis=1)
    write_table(path, track.scorer, (*LANDMARKS, CENTRE), ("x", "y"), whole)
