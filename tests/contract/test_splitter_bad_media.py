"""Files that are no video, hardly one, or broken: a refusal with a code, or a result that says what is missing."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from consumers.outcome import Fail, Rejected, outcome_of
from tests.clips.bad import (
    cut_file,
    no_frames,
    playlist,
    sound_only,
    sound_with_cover,
)
from tests.clips.factory import Clips, Recipe
from tests.clips.splitting import Split, split

OPTIONS = (("preset", "ultrafast"), ("bf", "3"), ("g", "20"), ("crf", "18"))
INDEX_FIRST = (("movflags", "+faststart"),)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.getbasetemp() / "clips")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1])


def head_of(clip: Path, path: Path) -> Path:
    return written(path, clip.read_bytes()[:40])


BAD: dict[str, tuple[str, Callable[[Clips, Path], Path]]] = {
    "text": ("unreadable_video", lambda clips, path: written(path / "a.mp4", b"this is text\n" * 99)),
    "empty": ("unreadable_video", lambda clips, path: written(path / "a.mp4", b"")),
    "zeros": ("unreadable_video", lambda clips, path: written(path / "a.mp4", bytes(100_000))),
    "picture": ("unreadable_video", lambda clips, path: written(path / "a.mp4", jpeg())),
    "header": ("unreadable_video", lambda clips, path: head_of(clips.make(Recipe()), path / "a.mp4")),
    "index-lost": ("unreadable_video", lambda clips, path: cut_file(clips.make(Recipe()), 0.6)),
    "playlist": ("unreadable_video", lambda clips, path: playlist(path / "a.mp4", clips.make(Recipe()))),
    "sound": ("no_video_stream", lambda clips, path: sound_only(path / "a.m4a")),
    "cover": ("no_video_stream", lambda clips, path: sound_with_cover(path / "a.mka", jpeg())),
    "no-frames": ("no_frames", lambda clips, path: no_frames(path / "a.mp4")),
}


@pytest.mark.row("S3-05")
@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_split_is_refused_with_a_code(clips: Clips, tmp_path: Path, kind: str) -> None:
    code, make = BAD[kind]
    with pytest.raises(Rejected) as refusal:
        split(make(clips, tmp_path), tmp_path / "work", rate=5)
    assert refusal.value.code == code
    outcome = outcome_of(refusal.value)
    assert isinstance(outcome, Fail)
    assert str(tmp_path) not in outcome.message
    assert outcome.message.endswith(".")


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("rate", ["31", "1000", "30.1"])
def test_a_rate_above_the_source_is_refused(clips: Clips, tmp_path: Path, rate: str) -> None:
    with pytest.raises(Rejected, match="30 frames per second") as refusal:
        split(clips.make(Recipe()), tmp_path, rate=rate)
    assert refusal.value.code == "rate_above_source"


@pytest.mark.row("S3-05")
@pytest.mark.parametrize("share", [0.5, 0.8, 0.98])
def test_a_file_that_breaks_off_gives_what_is_there(clips: Clips, tmp_path: Path, share: float) -> None:
    clip = cut_file(clips.make(Recipe(frames=120, options=OPTIONS, muxing=INDEX_FIRST)), share)
    made = split(clip, tmp_path, rate=30, frames_per_task=25, images=True)
    numbers = made.numbers_in_videos()
    assert numbers == made.numbers_in_pictures() == sorted(numbers)
    # Frames just before the cut may lack what they refer to; all others are exactly in place.
    assert numbers[: len(numbers) - 4] == list(range(len(numbers) - 4))
    assert 120 * (share - 0.3) < len(numbers) < 120
    result = made.done.result
    assert result["frames"] == len(numbers) == sum(task["frameCount"] for task in made.manifest["tasks"])
    warnings = {warning["code"]: warning for warning in result["warnings"]}
    assert warnings["shorter_than_declared"]["declared_frames"] == 120
    assert warnings["shorter_than_declared"]["found_frames"] < 120
    if result["planned"] > result["frames"]:
        assert warnings["frames_lost"]["delivered"] == result["frames"]
        assert warnings["frames_lost"]["planned"] == result["planned"]
    assert made.manifest["warnings"] == result["warnings"]


@pytest.mark.row("S3-05")
@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_streams_that_break_off_give_what_is_there(clips: Clips, tmp_path: Path, suffix: str) -> None:
    clip = cut_file(clips.make(Recipe(frames=120, suffix=suffix, options=OPTIONS)), 0.6)
    made = split(clip, tmp_path, rate=10)
    numbers = made.numbers_in_videos()
    assert 15 < len(numbers) < 40
    assert numbers == [3 * k for k in range(len(numbers))]


def tried(clip: Path, folder: Path) -> Split | Rejected:
    try:
        return split(clip, folder, rate=10, images=True)
    except Rejected as refusal:
        return refusal


@pytest.mark.row("S3-05")
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_flipped_bytes_never_break_the_splitter(clips: Clips, tmp_path: Path, suffix: str, seed: int) -> None:
    clip = clips.make(Recipe(frames=120, suffix=suffix, options=OPTIONS, muxing=INDEX_FIRST if suffix == "mp4" else ()))
    data = np.frombuffer(clip.read_bytes(), np.uint8).copy()
    hit = np.random.default_rng(seed).integers(len(data) // 8, len(data), 60)
    data[hit] ^= 0xFF
    made = tried(written(tmp_path / f"hit.{suffix}", data.tobytes()), tmp_path / "work")
    if isinstance(made, Rejected):
        # A timestamp that was hit may put a frame a day away from the others: then no rate fits.
        assert made.code in {"unreadable_video", "no_frames", "rate_above_source"}
        return
    frames = made.done.result["frames"]
    assert frames == len(made.pictures()) == sum(task["frameCount"] for task in made.manifest["tasks"])
    assert frames == sum(len(made.video(task)) for task in range(made.done.result["tasks"]))


def test_frames_whose_size_changes_on_the_way_are_brought_to_one(clips: Clips, tmp_path: Path) -> None:
    halves = [clips.make(Recipe(frames=30, height=height, suffix="ts", options=OPTIONS)) for height in (64, 96)]
    both = written(tmp_path / "both.ts", b"".join(half.read_bytes() for half in halves))
    made = split(both, tmp_path / "work", rate=5, images=True)
    assert {picture.shape for picture in made.pictures()} == {(64, 192, 3)}
    assert made.done.result["frames"] == len(made.pictures())
