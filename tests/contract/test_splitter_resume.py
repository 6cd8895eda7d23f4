"""Crashes, resumption and repetition: whatever happens on the way, the same bytes come out, and progress only grows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import enumerate as threads_alive

import pytest

from consumers.artifacts import Artifact, Step
from consumers.outcome import Fenced
from consumers.splitter.handler import handle
from tests.clips.bad import bare_stream, cut_file, cut_without_reencoding
from tests.clips.factory import Clips, Recipe
from tests.clips.memory_workspace import MemoryWorkspace
from tests.clips.splitting import Split, job_of, params, split

B_FRAMES = (("preset", "ultrafast"), ("bf", "3"), ("g", "20"), ("crf", "18"))
BASE = Recipe(frames=90, options=B_FRAMES)
INDEX_FIRST = (("movflags", "+faststart"),)
TERMS = {"rate": 10, "frames_per_task": 5, "images": True}


class Crash(Exception):
    """The process dies here."""


@dataclass
class Crashing(MemoryWorkspace):
    """Dies at the checkpoint of one task, before or after it is committed."""

    task: int = 0
    committed: bool = False

    def checkpoint(self, step: Step) -> None:
        if step.ordinal == self.task and not self.committed:
            raise Crash
        super().checkpoint(step)
        if step.ordinal == self.task:
            raise Crash


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.getbasetemp() / "clips")


def open_gop(clips: Clips, folder: Path) -> Path:
    options = (("preset", "ultrafast"), ("bf", "3"), ("x264-params", "open-gop=1:keyint=15"))
    return clips.make(replace(BASE, suffix="ts", options=options))


def intra_refresh(clips: Clips, folder: Path) -> Path:
    options = (("preset", "ultrafast"), ("x264-params", "intra-refresh=1:keyint=30"))
    return clips.make(replace(BASE, suffix="mkv", options=options))


def variable(clips: Clips, folder: Path) -> Path:
    ticks = tuple(n * 3000 + (n % 3) * 400 + (45_000 if n > 40 else 0) for n in range(90))
    return clips.make(replace(BASE, ticks=ticks))


SOURCES: dict[str, Callable[[Clips, Path], Path]] = {
    "mp4": lambda clips, folder: clips.make(BASE),
    "open-gop": open_gop,
    "intra-refresh": intra_refresh,
    "variable": variable,
    "avi": lambda clips, folder: clips.make(replace(BASE, suffix="avi")),
    "bare": lambda clips, folder: bare_stream(folder / "bare.h264", BASE),
    "edit-list": lambda clips, folder: cut_without_reencoding(clips.make(BASE), 13, Fraction(30)),
    "cut": lambda clips, folder: cut_file(clips.make(replace(BASE, muxing=INDEX_FIRST)), 0.8),
    "rotated": lambda clips, folder: clips.make(replace(BASE, rotation=90)),
}


@pytest.mark.row("S3-41")
@pytest.mark.parametrize("kind", SOURCES)
def test_an_attempt_that_resumes_ends_with_the_same_bytes(clips: Clips, tmp_path: Path, kind: str) -> None:
    clip = SOURCES[kind](clips, tmp_path)
    expected = split(clip, tmp_path / "undisturbed", **TERMS)
    assert split(clip, tmp_path / "again", **TERMS).artifacts == expected.artifacts
    for task in range(expected.done.result["tasks"]):
        job = job_of(clip)
        dying = job.attempt(tmp_path / f"crash-{task}")
        with pytest.raises(Crash):
            handle(params(**TERMS), Crashing(job, dying.token, dying.scratch, task=task, committed=task % 2 == 0))
        kept = dict(job.steps)
        workspace = job.attempt(tmp_path / f"crash-{task}")
        resumed = Split(handle(params(**TERMS), workspace), workspace)
        assert resumed.artifacts == expected.artifacts
        assert resumed.done.result == expected.done.result
        assert {number: job.steps[number] for number in kept} == kept
        assert not [key for key in job.objects if key.startswith("2/tasks") and int(key[-8:-4]) in kept]


@pytest.mark.row("S3-41")
def test_when_only_the_manifest_is_missing_nothing_is_decoded_again(clips: Clips, tmp_path: Path) -> None:
    clip = clips.make(BASE)
    first = split(clip, tmp_path / "first", **TERMS)
    workspace = first.workspace.job.attempt(tmp_path / "second")
    again = handle(params(**TERMS), workspace)
    assert [a.sha256 for a in again.artifacts] == [a.sha256 for a in first.done.artifacts]
    assert [key for key in workspace.job.objects if key.startswith("2/")] == ["2/manifest.json"]


@pytest.mark.row("S3-10")
def test_a_task_is_checkpointed_with_exactly_its_artifacts(clips: Clips, tmp_path: Path) -> None:
    made = split(clips.make(BASE), tmp_path, **TERMS)
    for number, step in made.workspace.job.steps.items():
        names = [artifact.name for artifact in step.artifacts]
        assert names[0] == f"tasks/task-{number:04d}.mp4"
        assert len(names) == 1 + 2 * step.record["frameCount"]
        assert {artifact.content_type for artifact in step.artifacts} == {"video/mp4", "image/jpeg"}
    assert [artifact.name for artifact in made.done.artifacts] == ["manifest.json"]
    assert made.done.artifacts[0].content_type == "application/json"


@pytest.mark.row("S3-11")
def test_progress_grows_and_stays_below_100(clips: Clips, tmp_path: Path) -> None:
    job = job_of(clips.make(BASE))
    dying = job.attempt(tmp_path)
    crashing = Crashing(job, dying.token, dying.scratch, task=3, committed=True)
    with pytest.raises(Crash):
        handle(params(**TERMS), crashing)
    resumed = job.attempt(tmp_path)
    handle(params(**TERMS), resumed)
    for percents in (crashing.percents, resumed.percents):
        assert percents == sorted(percents)
        assert all(0 < percent < 100 for percent in percents)
    assert len(crashing.percents) + len(resumed.percents) >= 30
    assert resumed.percents[0] > 99 * 20 / 30
    assert resumed.percents[-1] == 99


def test_a_lost_claim_stops_the_work(clips: Clips, tmp_path: Path) -> None:
    job = job_of(clips.make(BASE))
    zombie = job.attempt(tmp_path)
    job.attempt(tmp_path)
    threads = set(threads_alive())
    with pytest.raises(Fenced):
        handle(params(**TERMS), zombie)
    assert job.steps == {}
    assert set(threads_alive()) <= threads


@dataclass
class FullStore(MemoryWorkspace):
    """A store that fails for one kind of object."""

    prefix: str = ""

    def store(self, name: str, source: Path | bytes, content_type: str) -> Artifact:
        if name.startswith(self.prefix):
            raise OSError(28, "No space left on device")
        return super().store(name, source, content_type)


@pytest.mark.parametrize("prefix", ["tasks/", "frames/", "thumbnails/000004", "manifest"])
def test_a_store_that_fails_is_not_the_videos_fault(clips: Clips, tmp_path: Path, prefix: str) -> None:
    attempt = job_of(clips.make(BASE)).attempt(tmp_path)
    threads = set(threads_alive())
    with pytest.raises(OSError, match="No space"):
        handle(params(**TERMS), FullStore(attempt.job, attempt.token, attempt.scratch, prefix=prefix))
    assert set(threads_alive()) <= threads
    committed = attempt.job.steps.values()
    assert all(len(step.artifacts) == 1 + 2 * step.record["frameCount"] for step in committed)


def test_scratch_holds_no_more_than_the_tasks_under_way(clips: Clips, tmp_path: Path) -> None:
    made = split(clips.make(BASE), tmp_path, **TERMS)
    left = {path.name for path in made.workspace.scratch.iterdir()}
    assert left == {"tasks.jsonl", "manifest.json"}
