"""Poses, measured against DeepLabCut itself: a process for each clip, and one process that stays warm.

    python -m tests.bench pose [--clips 20] [--processes 4]

All on one thread of the same machine, in one run, and with the same coordinates in the end. Prints Markdown.
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

import numpy as np
import pandas as pd

from tests.bench.house import House
from tests.bench.table import table, verdict
from tests.dots import FRAMES, QUIET, Dots, archives, make, scene
from tests.dots.scene import Array
from tests.ground import Ground
from tests.system import System

AGAINST_PROCESSES_FLOOR = 5.0
OVERHEAD_CEILING = 1.2
COLD = """
import sys, deeplabcut
deeplabcut.analyze_videos(sys.argv[1], [sys.argv[2]], destfolder=sys.argv[3], device="cpu", save_as_csv=True)
"""
WARM = """
import sys, time, deeplabcut
config, out, *videos = sys.argv[1:]
for n, video in enumerate([videos[0], *videos]):
    begin = time.perf_counter()
    folder = f"{out}/{n}"
    deeplabcut.analyze_videos(config, [video], destfolder=folder, device="cpu", save_as_csv=True, batch_size=8)
    print("SECONDS", time.perf_counter() - begin, flush=True)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--processes", type=int, default=4, help="clips that get a process of their own")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as folder, Ground(Path(folder)) as ground:
        dots = make(_empty(Path(folder, "dots")))
        clips = [_clip(dots, n) for n in range(asked.clips)]
        ours, tables = _ours(ground, dots, clips)
        warm, said = _warm(dots, clips)
        cold = statistics.median(_cold(dots, clip) for clip in clips[: asked.processes])
    away = max(float(np.nanmax(np.abs(a - b))) for a, b in zip(tables, said, strict=True))
    rows = [
        ["a process for each clip", f"{cold:.2f}", f"{60 / cold:.1f}", verdict(cold / ours, AGAINST_PROCESSES_FLOOR)],
        ["`analyze_videos` in a warm process", f"{warm:.2f}", f"{60 / warm:.1f}", f"{warm / ours:.2f}"],
        ["Reelmill, one slot", f"{ours:.2f}", f"{60 / ours:.1f}", ""],
    ]
    print(table(["", "seconds a clip", "clips a minute", "against Reelmill"], rows))
    fine = "within" if ours / warm <= OVERHEAD_CEILING else "ABOVE"
    print(f"\n{asked.clips} clips of {FRAMES} frames; greatest difference of a coordinate {away:.1e} pixels.")
    print(f"A job takes {ours / warm:.2f} times the warm call: {fine} {OVERHEAD_CEILING:g}.")


def _empty(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _clip(dots: Dots, number: int) -> Path:
    space = scene.path_in_space(FRAMES, 0.1 * number)
    return scene.film(dots.folder / f"clip{number}.mp4", "camera-1", space, number).path


def _ours(ground: Ground, dots: Dots, clips: Sequence[Path]) -> tuple[float, list[Array]]:
    """Seconds a clip, all of them given at once; and what was found."""
    with House(ground, processes=("gateway", "relay")) as house:
        system = house.system
        system.start("pose")
        zipped = archives.of_folder(dots.model)
        headers = {"Content-Type": "application/zip"}
        assert system.http.post("/v1/models", params={"name": "dots"}, content=zipped, headers=headers).is_success
        files = [system.upload(clip.read_bytes(), clip.name) for clip in clips]
        system.until_state(_job(system, files[0]), "succeeded", patience=300)
        begin = time.perf_counter()
        jobs = [_job(system, file) for file in files]
        for job in reversed(jobs):
            system.until_state(job, "succeeded", patience=300)
        seconds = (time.perf_counter() - begin) / len(jobs)
        return seconds, [_table(system.http.get(f"/file/{system.job(j)['result']['csv_file']}").content) for j in jobs]


def _job(system: System, file: str) -> str:
    return system.submit("analyze.video", {"file": file, "model": "dots", "force": True})


def _warm(dots: Dots, clips: Sequence[Path]) -> tuple[float, list[Array]]:
    """Seconds a clip in one process, the first call left out; and what it found."""
    out = dots.folder / "warm"
    told = _run(WARM, str(dots.model / "config.yaml"), str(out), *map(str, clips))
    seconds = [float(line.split()[1]) for line in told.splitlines() if line.startswith("SECONDS")][1:]
    found = [next((out / str(n + 1)).glob("*.csv")).read_bytes() for n in range(len(clips))]
    return sum(seconds) / len(seconds), [_table(each) for each in found]


def _cold(dots: Dots, clip: Path) -> float:
    """Seconds of a process for one clip."""
    begin = time.perf_counter()
    _run(COLD, str(dots.model / "config.yaml"), str(clip), str(dots.folder / f"cold-{clip.stem}"))
    return time.perf_counter() - begin


def _run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=os.environ | QUIET, capture_output=True, text=True, check=True).stdout


def _table(csv: bytes) -> Array:
    read: Array = pd.read_csv(io.BytesIO(csv), header=[0, 1, 2], index_col=0).to_numpy(float)
    return read


if __name__ == "__main__":
    main()
