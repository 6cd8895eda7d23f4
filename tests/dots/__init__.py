"""A world of four coloured dots on a stiff body, seen by two cameras; and a tiny DeepLabCut model that has learned it.

`python -m tests.dots FOLDER` makes all of it in a process of its own: DeepLabCut stays out of the tests' process.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tests.dots import rig, scene
from tests.dots.scene import Array, Clip

FRAMES = 60
MADE = "made"
TAIL, EARL = scene.POINTS.index("tail"), scene.POINTS.index("earl")
#: One thread for the network, which is too small for two; no display, no network.
QUIET = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}


@dataclass(frozen=True)
class Dots:
    """What was made: the project, the rig, three clips with the truth about them, and what DeepLabCut itself says."""

    folder: Path

    @property
    def model(self) -> Path:
        """The 2-D project."""
        return self.folder / "model"

    @cached_property
    def rig(self) -> Path:
        """The 3-D project."""
        at = self.folder / "rig"
        return at if at.exists() else rig.make(at)

    @cached_property
    def mono(self) -> Clip:
        """A clip in which the tail is hidden for ten frames."""
        hidden = {number: (TAIL,) for number in range(40, 50)}
        return scene.film(self.folder / "mono.mp4", "camera-1", scene.path_in_space(FRAMES, 0.3), 1, hidden)

    @cached_property
    def pair(self) -> tuple[Clip, Clip]:
        """The same moments from both sides; the left ear is hidden from the second camera for five frames."""
        space = scene.path_in_space(FRAMES, 2.1)
        hidden = {number: (EARL,) for number in range(30, 35)}
        first = scene.film(self.folder / "session_camera-1.mp4", "camera-1", space, 2)
        return first, scene.film(self.folder / "session_camera-2.mp4", "camera-2", space, 3, hidden)

    def said(self, name: str) -> Array:
        """What `deeplabcut.analyze_videos` (`mono`) and `deeplabcut.triangulate` (`space`) give."""
        found: Array = np.load(self.folder / f"{name}.npy")
        return found


def make(folder: Path) -> Dots:
    """Make everything. Raises AssertionError with the end of the log."""
    dots = Dots(folder)
    _ = dots.mono, dots.pair, dots.rig
    log = folder / "log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "tests.dots", str(folder)]
        done = subprocess.run(command, env=os.environ | QUIET, stdout=out, stderr=out, check=False)
    assert done.returncode == 0, f"the model was not made:\n{log.read_text(errors='replace')[-3000:]}"
    about = json.loads((folder / "about.json").read_text())
    assert about["loss"] < 0.01, about
    return dots


def kept(root: Path) -> Dots:
    """Made once for these sources and versions, whoever asks first; later runs and other processes find it there."""
    root.mkdir(parents=True, exist_ok=True)
    folder = root.resolve() / _digest()
    with (root / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / MADE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / MADE).touch()
    return Dots(folder)


def _digest() -> str:
    """Of all that the model depends on."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    versions = "".join(version(name) for name in ("deeplabcut", "torch", "timm", "numpy", "opencv-python-headless"))
    return hashlib.sha256(b"".join(p.read_bytes() for p in sources) + versions.encode()).hexdigest()[:16]
