"""Splitting 1080p at 5 frames per second into task videos and JPEGs: this pipeline against one pass of the ffmpeg CLI.

    python -m tests.bench.split FOLDER [--seconds 30] [--rounds 3]

Clips (ten seconds of footage, over and over) are made once and kept in FOLDER. Both make H.264 task videos of 100
frames (same preset, crf, keyframe distance, no B-frames) and a JPEG of each frame; ffmpeg at `-q:v 2`, its usual best.
First with the preset and crf that a job has unless it says otherwise, then with a slower preset.
Rounds are interleaved; a ratio is the median of ffmpeg's rounds over the median of ours: above 1, we need less. The
lowest and the highest ratio of a single round follow in brackets: how far one run can be trusted. Our process is warm,
as the consumer's child is: what importing the libraries costs, once per child, is printed apart.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

from consumers.artifacts import Artifact
from consumers.splitter.handler import handle
from schemas.splitting import SplitVideo
from tests.clips.footage import footage, over_and_over
from tests.clips.memory_workspace import MemoryWorkspace
from tests.clips.splitting import job_of, params

RATE, FRAMES_PER_TASK, KEYFRAME_DISTANCE = 5, 100, 10


class Coding(NamedTuple):
    """x264's preset and crf."""

    preset: str
    crf: int

    def __str__(self) -> str:
        return f"{self.preset}, crf {self.crf}"


USUAL = Coding(*(SplitVideo.model_fields[name].default for name in Coding._fields))
SLOWER = Coding("veryfast", 23)
TURN_SECONDS = 10
KINDS = {"with B-frames": 3, "without B-frames": 0}


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds, and the process's peak memory in MB. `started`: CPU seconds before the work began."""

    wall: float
    cpu: float
    megabytes: float
    started: float = 0


Run = Callable[[Path, Path, Coding], Cost]


class FolderWorkspace(MemoryWorkspace):
    """Objects go to files, as a local store would have them; the job keeps only their keys."""

    def store(self, name: str, source: Path | bytes, content_type: str) -> Artifact:
        data = source if isinstance(source, bytes) else source.read_bytes()
        made = super().store(name, data, content_type)
        path = self.scratch.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.job.objects[made.object_key] = b""
        return made


def cpu_seconds() -> float:
    """User and system time of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def once(clip: Path, out: Path, coding: Coding) -> Cost:
    """One split in this process."""
    attempt = job_of(clip).attempt(out)
    workspace = FolderWorkspace(attempt.job, attempt.token, attempt.scratch)
    terms = {"rate": RATE, "frames_per_task": FRAMES_PER_TASK, "preset": coding.preset, "crf": coding.crf}
    started, begin = cpu_seconds(), time.perf_counter()
    handle(params(images=True, thumbnails=False, **terms), workspace)
    wall, cpu = time.perf_counter() - begin, cpu_seconds() - started
    return Cost(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, started)


def ours(clip: Path, out: Path, coding: Coding, cores: Sequence[int] = ()) -> Cost:
    """One split in a process of its own, on `cores` where some are named."""
    command = [sys.executable, "-m", "tests.bench.split", str(out), "--once", str(clip)]
    command += ["--coding", coding.preset, str(coding.crf)]
    command += ["--cores", ",".join(map(str, cores))] if cores else []
    return Cost(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def ffmpeg(clip: Path, out: Path, coding: Coding) -> Cost:
    """The same things from one pass of the command line."""
    (out / "tasks").mkdir()
    (out / "frames").mkdir()
    quality = f"-preset {coding.preset} -crf {coding.crf} -g {KEYFRAME_DISTANCE} -bf 0"
    video = f"-c:v libx264 {quality} -pix_fmt yuv420p -f segment"
    cutting = f"-segment_time {FRAMES_PER_TASK // RATE} -reset_timestamps 1 -segment_format mp4"
    command = [
        *("ffmpeg", "-nostdin", "-v", "error", "-i", str(clip)),
        *("-filter_complex", f"[0:v]fps={RATE}:round=up,split=2[a][b]"),
        *("-map", "[a]", *video.split(), *cutting.split(), "-segment_format_options", "movflags=+faststart"),
        str(out / "tasks" / "task-%04d.mp4"),
        *("-map", "[b]", "-q:v", "2", "-f", "image2", str(out / "frames" / "%06d.jpg")),
    ]
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, "ffmpeg failed"
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def clip_of(folder: Path, b_frames: int, seconds: int) -> Path:
    """The clip, made if it is not there yet: as many turns of the same footage as it takes."""
    path, turn = (folder / f"footage-{length}-{b_frames}.mp4" for length in (seconds, TURN_SECONDS))
    if not turn.exists():
        footage(turn.with_suffix(".part.mp4"), seconds=TURN_SECONDS, b_frames=b_frames).rename(turn)
    return path if path.exists() else over_and_over(turn, path, seconds // TURN_SECONDS)


def measured(run: Run, clip: Path, coding: Coding, seconds: int) -> Cost:
    """One run into an empty folder, which is removed again, with a look at what came out."""
    out = clip.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    cost = run(clip, out, coding)
    made = [sum(1 for _ in (out / name).iterdir()) for name in ("frames", "tasks")]
    assert made == [seconds * RATE, -(-seconds * RATE // FRAMES_PER_TASK)], f"{run.__name__} made {made}"
    shutil.rmtree(out)
    return cost


def compare(clip: Path, coding: Coding, seconds: int, rounds: int) -> str:
    """One line: medians, their ratios and those of the single rounds, peak memory."""
    costs: dict[Run, list[Cost]] = {ours: [], ffmpeg: []}
    for turn in range(rounds):
        for run in (ours, ffmpeg) if turn % 2 == 0 else (ffmpeg, ours):
            costs[run].append(measured(run, clip, coding, seconds))
    columns = []
    for field in ("wall", "cpu"):
        theirs, us = (statistics.median(getattr(cost, field) for cost in costs[run]) for run in (ffmpeg, ours))
        each = [getattr(a, field) / getattr(b, field) for a, b in zip(costs[ffmpeg], costs[ours], strict=True)]
        spread = f"({min(each):.2f} to {max(each):.2f})"
        columns.append(f"{field} {theirs:5.1f} s / {us:5.1f} s = {theirs / us:.2f} {spread}")
    peaks = [max(cost.megabytes for cost in costs[run]) for run in (ffmpeg, ours)]
    started = statistics.median(cost.started for cost in costs[ours])
    return "   ".join([*columns, f"peak {peaks[0]:.0f} / {peaks[1]:.0f} MB", f"(start-up, once: {started:.1f} s CPU)"])


def scaling(folder: Path, seconds: int, rounds: int) -> str:
    """One line: two processes on two videos, each on its half of the cores, against one half after the other.

    One process alone keeps every core busy; only with half of them each does a second one have cores of its own.
    """
    cores = sorted(os.sched_getaffinity(0))
    halves = cores[: len(cores) // 2], cores[len(cores) // 2 :]
    if not halves[0]:
        return "two consumers on two videos: not measured, there is one core only"
    clips = [clip_of(folder, b_frames, seconds) for b_frames in KINDS.values()]
    alone, together = [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        for clip, half in zip(clips, halves, strict=True):
            pinned(clip, half)
        alone.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        with ThreadPoolExecutor() as pool:
            list(pool.map(pinned, clips, halves))
        together.append(time.perf_counter() - begin)
    ratio = statistics.median(alone) / statistics.median(together)
    return f"two consumers on two videos, each on its half of {len(cores)} cores: {ratio:.2f} of one{_caveat(halves)}"


def pinned(clip: Path, cores: Sequence[int]) -> Cost:
    """One split in a process of its own, on these cores only."""
    return ours(clip, _empty(clip), SLOWER, cores)


def _caveat(halves: Sequence[Sequence[int]]) -> str:
    """What keeps two halves from being twice one: hyperthreads of the same cores, or others who use them."""
    said, load = [], os.getloadavg()[0]
    one, other = ({_siblings(core) for core in half} for half in halves)
    if one & other:
        said.append("they are threads of the same cores, which do not allow it")
    if load > 1 + sum(map(len, halves)):
        said.append(f"others use the cores, too: load {load:.1f}")
    return f" ({'; '.join(said)})" if said else ""


def _siblings(core: int) -> str:
    """The hyperthreads of a core; where the system does not say, each is one of its own."""
    told = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    return told.read_text() if told.exists() else str(core)


def _empty(clip: Path) -> Path:
    out = clip.with_suffix(".out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--coding", nargs=2, default=USUAL, help=argparse.SUPPRESS)
    parser.add_argument("--cores", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.seconds % TURN_SECONDS:
        parser.error(f"--seconds: a multiple of {TURN_SECONDS}")
    if asked.cores:
        os.sched_setaffinity(0, map(int, asked.cores.split(",")))
    if asked.once:
        print(json.dumps(asdict(once(asked.once, asked.folder, Coding(asked.coding[0], int(asked.coding[1]))))))
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    print(f"1080p30, {asked.seconds} s, ffmpeg / ours, median of {asked.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for coding, (name, b_frames) in product((USUAL, SLOWER), KINDS.items()):
        clip = clip_of(asked.folder, b_frames, asked.seconds)
        print(f"{coding}, {name:16}   {compare(clip, coding, asked.seconds, asked.rounds)}", flush=True)
    print(scaling(asked.folder, asked.seconds, asked.rounds), flush=True)
    lengths = (asked.seconds, 3 * asked.seconds)
    peaks = [measured(ours, clip_of(asked.folder, 3, seconds), SLOWER, seconds).megabytes for seconds in lengths]
    print(f"peak memory: {peaks[0]:.0f} MB for {lengths[0]} s, {peaks[1]:.0f} MB for {lengths[1]} s")


if __name__ == "__main__":
    main()
