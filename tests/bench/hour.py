"""An hour of 1080p through the real system: how much memory a child needs, and what a kill at half time costs.

    python -m tests.bench.hour FOLDER [--minutes 60]

The hour is a test picture with B-frames over and over, which decodes fast; a frame a second of it is wanted.
The splitter is killed (`kill -9`) at 50 % and started again. Prints Markdown, for RESULTS.md.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from infra.ids import new_id
from tests.bench.house import House
from tests.bench.table import table, verdict
from tests.clips.footage import over_and_over
from tests.ground import Ground
from tests.system import until

CLIP_SECONDS, RATE = 10, 1
FRAMES_PER_TASK = 120
MEMORY_MB = 600
PATIENCE = 3600.0
STEPS = "select name, token from job_steps where job_id = %s"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=int, default=60)
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    video = film(asked.folder, asked.minutes)
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as folder, Ground(Path(folder)) as ground:
        print(report(ground, video, asked.minutes), flush=True)


def film(folder: Path, minutes: int) -> Path:
    """The long video, made if it is not there yet."""
    path, clip = folder / f"film-{minutes}.mp4", folder / "film-clip.mp4"
    if path.exists():
        return path
    picture = f"smptehdbars=size=1920x1080:rate=30:duration={CLIP_SECONDS}"
    quiet = ("ffmpeg", "-nostdin", "-y", "-v", "error")
    codec = "-c:v libx264 -preset veryfast -crf 23 -g 60 -bf 3 -b_strategy 0 -pix_fmt yuv420p"
    subprocess.run([*quiet, "-f", "lavfi", "-i", picture, *codec.split(), clip], check=True)
    return over_and_over(clip, path, minutes * 60 // CLIP_SECONDS)


def report(ground: Ground, video: Path, minutes: int) -> str:
    """The table of one run."""
    with House(ground, processes=("gateway", "relay", "splitter")) as house, video.open("rb") as source:
        answer = house.system.http.post("/v1/files", params={"name": video.name}, content=source, timeout=PATIENCE)
        file = answer.raise_for_status().json()["sha256"]
        params = {"file": file, "rate": str(RATE), "frames_per_task": FRAMES_PER_TASK, "images": True}
        begin = time.perf_counter()
        job = house.system.submit("split.video", params, id=str(new_id()))
        until(lambda: house.system.job(job)["progress"] >= 50, "half of it is done", PATIENCE)
        peaks = [_peak(house)]
        kept = _steps(house, job)
        house.system.kill("splitter")
        house.system.start("splitter")
        until(lambda: len(_steps(house, job)) > len(kept), "it goes on", PATIENCE)
        ended = house.system.until_state(job, "succeeded", "failed", patience=PATIENCE)
        seconds = time.perf_counter() - begin
        peaks.append(_peak(house))
        assert ended["state"] == "succeeded", ended["error"]
        after = _steps(house, job)
    tasks = minutes * 60 * RATE // FRAMES_PER_TASK
    assert len(after) == tasks, after
    redone = sum(after[name] != token for name, token in kept.items())
    rows: list[list[object]] = [
        ["video / wall", f"{minutes * 60 / seconds:.1f}"],
        [
            "peak MB of the child, until the kill",
            f"{peaks[0]:.0f} of {MEMORY_MB}: {verdict(MEMORY_MB / peaks[0], 1.0)}",
        ],
        [
            "peak MB of the child, after the kill",
            f"{peaks[1]:.0f} of {MEMORY_MB}: {verdict(MEMORY_MB / peaks[1], 1.0)}",
        ],
        ["tasks done before the kill, of all", f"{len(kept)} of {tasks}"],
        ["of those, done again", redone],
    ]
    return f"{minutes} minutes of 1080p30, {RATE} frame a second, load {os.getloadavg()[0]:.1f}.\n\n" + table(
        ["", ""], rows
    )


def _steps(house: House, job: str) -> dict[str, int]:
    with house.connection.cursor() as cursor:
        cursor.execute(STEPS, (job,))
        return dict(cursor.fetchall())


def _peak(house: House) -> float:
    """The most memory that a child of the splitter has had, in MB."""
    peaks = []
    for child in house.system.children("splitter"):
        lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
        peaks += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return max(peaks)


if __name__ == "__main__":
    main()
