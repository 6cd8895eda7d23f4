"""Poses, measured against DeepLabCut itself: a process for each clip, and one process that stays warm.

    python -m tests.bench pose [--clips 20] [--rounds 3] [--processes 3]

All on one thread of the same machine, in one run, in turns, and with the same coordinates in the end. Prints Markdown.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.bench.house import House
from tests.bench.table import table, verdict
from tests.dots import FRAMES, QUIET, Dots, archives, kept, scene
from tests.dots.scene import Array
from tests.ground import Ground

MODELS = Path("tests/output/dots")
AGAINST_PROCESSES_FLOOR = 5.0
OVERHEAD_CEILING = 1.2
SAME = 1e-6
PATIENCE = 300.0
COLD = """
import sys, deeplabcut
deeplabcut.analyze_videos(sys.argv[1], [sys.argv[2]], destfolder=sys.argv[3], device="cpu", save_as_csv=True)
"""
# Says how long each round has taken; a round begins with a line that names a fresh folder. The first is to warm up.
WARM = """
import sys, time, deeplabcut
config, *videos = sys.argv[1:]
for line in sys.stdin:
    begin = time.perf_counter()
    for n, video in enumerate(videos):
        deeplabcut.analyze_videos(config, [video], destfolder=f"{line.strip()}/{n}", device="cpu", save_as_csv=True)
    print("SECONDS", time.perf_counter() - begin, flush=True)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="how often all clips go through each of the warm ones")
    parser.add_argument("--processes", type=int, default=3, help="clips that get a process of their own")
    asked = parser.parse_args(arguments)
    dots = kept(MODELS)
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as name:
        folder = Path(name)
        clips = [_clip(folder, n) for n in range(asked.clips)]
        cold = statistics.median(_cold(dots, clip, folder) for clip in clips[: asked.processes])
        with Ground(folder) as ground, _Ours(ground, dots, clips) as ours, _Warm(dots, clips, folder) as warm:
            seconds = [(ours.round(), warm.round()) for _ in range(asked.rounds)]
            away = max(float(np.nanmax(np.abs(a - b))) for a, b in zip(ours.found(), warm.found(), strict=True))
    mine, theirs = (statistics.median(times) / asked.clips for times in zip(*seconds, strict=True))
    overhead = statistics.median(a / b for a, b in seconds)
    rows = [
        ["a process for each clip", f"{cold:.2f}", f"{60 / cold:.1f}", verdict(cold / mine, AGAINST_PROCESSES_FLOOR)],
        ["`analyze_videos` in a warm process", f"{theirs:.2f}", f"{60 / theirs:.1f}", f"{1 / overhead:.2f}"],
        ["Reelmill, one slot", f"{mine:.2f}", f"{60 / mine:.1f}", ""],
    ]
    print(table(["", "seconds a clip", "clips a minute", "Reelmill is faster by"], rows))
    same = "within" if away <= SAME else "ABOVE"
    print(f"\n{asked.clips} clips of {FRAMES} frames, {asked.rounds} rounds in turns, load {os.getloadavg()[0]:.1f};")
    print(f"greatest difference of a coordinate {away:.1e} pixels: {same} {SAME:g}.")
    fine = "within" if overhead <= OVERHEAD_CEILING else "ABOVE"
    print(f"A job takes {overhead:.2f} times the warm call: {fine} {OVERHEAD_CEILING:g}.")


class _Ours:
    """Our processes, with one slot for poses that is warm, and the clips uploaded."""

    def __init__(self, ground: Ground, dots: Dots, clips: Sequence[Path]) -> None:
        self._house = House(ground, processes=("gateway", "relay"))
        self._dots, self._clips = dots, clips
        self._files: list[str] = []
        self._jobs: list[str] = []

    def __enter__(self) -> "_Ours":
        self._house.__enter__()
        system = self._house.system
        system.start("pose", **QUIET)
        headers = {"Content-Type": "application/zip"}
        zipped = archives.of_folder(self._dots.model)
        assert system.http.post("/v1/models", params={"name": "dots"}, content=zipped, headers=headers).is_success
        self._files = [system.upload(clip.read_bytes(), clip.name) for clip in self._clips]
        self._done([self._job(file) for file in self._files[:2]])
        return self

    def __exit__(self, *error: Any) -> None:
        self._house.__exit__(*error)

    def round(self) -> float:
        """Seconds for all clips, given at once."""
        begin = time.perf_counter()
        self._jobs = [self._job(file) for file in self._files]
        self._done(self._jobs)
        return time.perf_counter() - begin

    def found(self) -> list[Array]:
        """What the last round has found."""
        system = self._house.system
        files = [system.job(job)["result"]["csv_file"] for job in self._jobs]
        csvs = [io.BytesIO(system.http.get(f"/file/{file}").content) for file in files]
        return [_values(pd.read_csv(csv, header=[0, 1, 2], index_col=0, float_precision="round_trip")) for csv in csvs]

    def _job(self, file: str) -> str:
        return self._house.system.submit("analyze.video", {"file": file, "model": "dots", "force": True})

    def _done(self, jobs: Sequence[str]) -> None:
        for job in reversed(jobs):
            self._house.system.until_state(job, "succeeded", patience=PATIENCE)


class _Warm:
    """DeepLabCut in a process that stays, called for one clip after another."""

    def __init__(self, dots: Dots, clips: Sequence[Path], folder: Path) -> None:
        self._command = [sys.executable, "-c", WARM, str(dots.model / "config.yaml"), *map(str, clips)]
        self._clips, self._folder = len(clips), folder
        self._rounds = 0

    def __enter__(self) -> "_Warm":
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._command, env=os.environ | QUIET, text=True, **pipes)
        self.round()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def round(self) -> float:
        """Seconds for all clips."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._rounds += 1
        print(self._out, file=self._process.stdin, flush=True)
        said = next(line for line in self._process.stdout if line.startswith("SECONDS"))
        return float(said.split()[1])

    def found(self) -> list[Array]:
        """What the last round has found: its CSV has fewer digits than its HDF5."""
        return [_values(pd.read_hdf(next((self._out / str(n)).glob("*.h5")))) for n in range(self._clips)]

    @property
    def _out(self) -> Path:
        return self._folder / f"warm-{self._rounds}"


def _clip(folder: Path, number: int) -> Path:
    space = scene.path_in_space(FRAMES, 0.1 * number)
    return scene.film(folder / f"clip{number}.mp4", "camera-1", space, number).path


def _cold(dots: Dots, clip: Path, folder: Path) -> float:
    """Seconds of a process for one clip."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", COLD, str(dots.model / "config.yaml"), str(clip), str(folder / clip.stem)]
    subprocess.run(command, env=os.environ | QUIET, capture_output=True, check=True)
    return time.perf_counter() - begin


def _values(table: Any) -> Array:
    found: Array = table.to_numpy(float)
    return found


if __name__ == "__main__":
    main()
