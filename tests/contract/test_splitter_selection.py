"""Which frames come out, read from the numbers burned into them, against the rule and against FFmpeg's own filter."""

from bisect import bisect_right
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest

from consumers.outcome import Rejected
from tests.clips import barcode
from tests.clips.bad import bare_stream, cut_without_reencoding
from tests.clips.factory import Clips, Recipe
from tests.clips.splitting import Split, split

FPS = ["10", "24000/1001", "25", "30000/1001", "30", "60"]
RATES = ["1", "4", "5", "7", "10", "24", "30", "31", "60"]
B_FRAMES = (("preset", "ultrafast"), ("bf", "3"), ("g", "20"), ("crf", "18"))
OPEN_GOP = (("preset", "ultrafast"), ("bf", "3"), ("x264-params", "open-gop=1:keyint=15"), ("crf", "18"))
INTRA_REFRESH = (("preset", "ultrafast"), ("x264-params", "intra-refresh=1:keyint=30"), ("crf", "18"))
SECONDS = 4
KINDS = {
    "mkv": Recipe(suffix="mkv", options=B_FRAMES),
    "ts": Recipe(suffix="ts", options=B_FRAMES),
    "open-gop": Recipe(options=OPEN_GOP),
    "open-gop-ts": Recipe(suffix="ts", options=OPEN_GOP),
    "intra-refresh": Recipe(suffix="mkv", options=INTRA_REFRESH),
    "asp": Recipe(suffix="avi", codec="mpeg4", options=(("bf", "2"), ("b", "2000000"))),
    "avc-avi": Recipe(suffix="avi", options=B_FRAMES),
    "mjpeg": Recipe(suffix="avi", codec="mjpeg", pix_fmt="yuvj420p", options=(("qmin", "2"), ("qmax", "3"))),
    "vp9": Recipe(suffix="webm", codec="libvpx-vp9", options=(("b", "1000000"), ("cpu-used", "8"))),
    "hevc": Recipe(codec="libx265", options=(("preset", "ultrafast"), ("x265-params", "bframes=3:log-level=0"))),
    "late-start": Recipe(ticks=tuple(range(450_000, 720_000, 3000)), suffix="mkv", options=B_FRAMES),
}


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.getbasetemp() / "clips")


def times(clip: Path) -> list[Fraction]:
    """When each frame starts, in seconds from the first one's start."""
    with av.open(clip) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        shown = sorted(p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard)
        return [(pts - shown[0]) * stream.time_base for pts in shown]


def on_screen(starts: list[Fraction], moments: list[Fraction]) -> list[int]:
    """The last frame that has started at each moment."""
    return [bisect_right(starts, moment) - 1 for moment in moments]


def filtered(clip: Path, rate: Fraction) -> list[int]:
    """The burned-in numbers that FFmpeg's `fps` filter, told to keep what is on screen, lets through."""
    numbers = []
    with av.open(clip) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        source, sink = graph.add_buffer(template=stream), graph.add("buffersink")
        graph.link_nodes(source, graph.add("fps", f"fps={rate}:round=up"), sink).configure()
        for frame in (*container.decode(stream), None):
            source.push(frame)
            while True:
                try:
                    numbers.append(barcode.read(_luma_of(sink.pull())))
                except (av.BlockingIOError, av.EOFError):
                    break
    return numbers


def _luma_of(frame: object) -> barcode.Luma:
    assert isinstance(frame, av.VideoFrame)
    return np.asarray(frame.to_ndarray(), np.uint8)


def check(made: Split, clip: Path, rate: Fraction, block: int = 16, first: int = 0) -> list[int]:
    """Videos and pictures show what the rule says, which is returned as source frame numbers."""
    starts = times(clip)
    moments = [k / rate + Fraction(1, 1000) for k in range(made.done.result["frames"])]
    expected = on_screen(starts, moments)
    assert made.numbers_in_videos(block) == [first + number for number in expected]
    assert made.numbers_in_pictures(block) == [first + number for number in expected]
    assert [row["source_frame"] for row in made.samples] == expected
    return expected


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("rate", RATES)
def test_the_matrix(clips: Clips, tmp_path: Path, fps: str, rate: str) -> None:
    frames = round(Fraction(fps) * SECONDS)
    clip = clips.make(Recipe(Fraction(fps), frames, options=B_FRAMES))
    wanted = Fraction(rate)
    if wanted > Fraction(fps):
        with pytest.raises(Rejected) as refusal:
            split(clip, tmp_path, rate=rate)
        assert refusal.value.code == "rate_above_source"
        return
    made = split(clip, tmp_path, rate=rate, images=True, thumbnails=False)
    expected = check(made, clip, wanted)
    assert abs(len(expected) - round(Fraction(frames) / Fraction(fps) * wanted)) <= 1
    assert all(a < b for a, b in pairwise(expected))
    strict = on_screen(times(clip), [k / wanted for k in range(len(expected))])
    oracle = filtered(clip, wanted)
    clear = [k for k in range(min(len(oracle), len(expected))) if strict[k] == expected[k]]
    assert len(clear) > len(expected) // 2
    assert [oracle[k] for k in clear] == [expected[k] for k in clear]
    assert abs(len(oracle) - len(expected)) <= 1


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("rate", ["5", "7", "15", "1", "1/2", "30"])
def test_variable_frame_rate(clips: Clips, tmp_path: Path, rate: str) -> None:
    jitter = [0, 450, -300, 820, -700, 120, 600]
    ticks = [n * 3000 + jitter[n % 7] + (180_000 if n > 60 else 0) for n in range(150)]
    clip = clips.make(Recipe(frames=150, ticks=tuple(ticks), options=B_FRAMES))
    made = split(clip, tmp_path, rate=rate, images=True, thumbnails=False)
    expected = check(made, clip, Fraction(rate))
    assert abs(len(expected) - round((ticks[-1] - ticks[0] + 3000) / 90_000 * Fraction(rate))) <= 1
    repeats = [row["repeat_of"] for row in made.samples]
    firsts = [expected.index(number) if expected.index(number) < k else None for k, number in enumerate(expected)]
    assert repeats == firsts


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", ["5", "7", "30"])
def test_every_container_and_codec_gives_the_same_frames(clips: Clips, tmp_path: Path, kind: str, rate: str) -> None:
    made = split(clips.make(replace(KINDS[kind], frames=90)), tmp_path, rate=rate, images=True, thumbnails=False)
    expected = [90 * k // (3 * int(rate)) for k in range(3 * int(rate))]
    assert made.numbers_in_videos() == expected
    assert made.numbers_in_pictures() == expected
    assert made.done.result["warnings"] == []


@pytest.mark.row("S3-06")
def test_matroska_and_mp4_twins_agree_where_milliseconds_round(clips: Clips, tmp_path: Path) -> None:
    recipe = Recipe(frames=120, options=B_FRAMES)
    for rate in ("15", "10", "29.97"):
        twins = [
            split(clips.make(replace(recipe, suffix=suffix)), tmp_path / rate / suffix, rate=rate)
            for suffix in ("mp4", "mkv")
        ]
        numbers = [twin.numbers_in_videos() for twin in twins]
        assert numbers[0] == numbers[1]


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("rate", ["5", "30"])
def test_frames_that_an_edit_list_hides_stay_hidden(clips: Clips, tmp_path: Path, rate: str) -> None:
    whole = clips.make(Recipe(frames=90, options=B_FRAMES))
    clip = cut_without_reencoding(whole, 13, Fraction(30))
    made = split(clip, tmp_path, rate=rate, images=True, thumbnails=False)
    assert check(made, clip, Fraction(rate), first=13)[0] == 0


@pytest.mark.row("S3-06")
def test_a_stream_without_timestamps_is_counted(tmp_path: Path) -> None:
    clip = bare_stream(tmp_path / "bare.h264", Recipe(frames=60, options=B_FRAMES))
    guessed = split(clip, tmp_path / "guessed", rate=10)
    assert guessed.numbers_in_videos() == list(range(0, 60, 3))
    assert [warning["code"] for warning in guessed.done.result["warnings"]] == ["synthetic_timestamps"]
    told = split(clip, tmp_path / "told", rate=10, source_rate=20)
    assert told.numbers_in_videos() == list(range(0, 60, 2))
    assert told.manifest["source"]["synthetic_timestamps"] is True


@pytest.mark.row("S3-06")
@pytest.mark.parametrize("rate", ["1", "5", "30"])
def test_a_single_frame(clips: Clips, tmp_path: Path, rate: str) -> None:
    made = split(clips.make(Recipe(frames=1)), tmp_path, rate=rate, images=True)
    assert made.numbers_in_videos() == made.numbers_in_pictures() == [0]
    assert (made.done.result["tasks"], made.done.result["frames"]) == (1, 1)


@pytest.mark.row("S3-07")
@pytest.mark.parametrize(
    ("frames", "counts"), [(50, [50]), (120, [120]), (121, [120, 1]), (240, [120, 120]), (241, [120, 120, 1])]
)
def test_frames_per_task(clips: Clips, tmp_path: Path, frames: int, counts: list[int]) -> None:
    made = split(clips.make(Recipe(frames=frames)), tmp_path, rate=30, images=True)
    assert [len(made.video(task)) for task in range(made.done.result["tasks"])] == counts
    assert [task["frameCount"] for task in made.manifest["tasks"]] == counts
    assert made.numbers_in_videos() == list(range(frames))
    assert len(made.pictures()) == len(made.pictures("thumbnails")) == frames


@pytest.mark.row("S3-07")
def test_frames_per_task_is_the_callers_to_choose(clips: Clips, tmp_path: Path) -> None:
    made = split(clips.make(Recipe(frames=60)), tmp_path, rate=10, frames_per_task=7)
    assert [task["frameCount"] for task in made.manifest["tasks"]] == [7, 7, 6]
