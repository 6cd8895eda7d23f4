"""What the files are like: task videos a browser can play, upright pictures in the right colours, records, manifest."""

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.clips import barcode
from tests.clips.factory import Clips, Recipe
from tests.clips.splitting import Picture, Split, split

TOLERANCE = 6


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.getbasetemp() / "clips")


def boxes(mp4: bytes) -> list[str]:
    """The names of an MP4 file's top-level boxes, in order."""
    names, place = [], 0
    while place < len(mp4):
        names.append(mp4[place + 4 : place + 8].decode())
        place += int.from_bytes(mp4[place : place + 4])
    return names


@pytest.mark.row("S3-09")
@pytest.mark.parametrize("rate", ["5", "1/2", "30000/1001", "7"])
def test_a_task_video_plays_in_a_browser(clips: Clips, tmp_path: Path, rate: str) -> None:
    made = split(clips.make(Recipe(frames=90)), tmp_path, rate=rate, frames_per_task=40)
    for task in made.manifest["tasks"]:
        data = made.artifacts[task["videoPath"]]
        assert boxes(data).index("moov") < boxes(data).index("mdat")
        path = tmp_path / "task.mp4"
        path.write_bytes(data)
        with av.open(path) as container:
            assert [stream.type for stream in container.streams] == ["video"]
            stream = container.streams.video[0]
            codec = stream.codec_context
            assert (codec.name, codec.pix_fmt, codec.color_range) == ("h264", "yuv420p", 1)
            assert stream.time_base is not None
            assert not codec.has_b_frames
            assert stream.frames == task["frameCount"]
            packets = [packet for packet in container.demux(stream) if packet.size]
            shown = [(packet.pts or 0) * stream.time_base for packet in packets]
            assert shown == [i / Fraction(rate) for i in range(task["frameCount"])]
            assert stream.duration is not None
            assert stream.duration * stream.time_base == task["frameCount"] / Fraction(rate)
            keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
            assert all(b - a <= 10 for a, b in zip(keys, [*keys[1:], len(packets)], strict=True))


@pytest.mark.row("S3-09")
@pytest.mark.parametrize(("width", "height"), [(193, 64), (192, 65), (193, 65)])
@pytest.mark.parametrize("rotation", [0, 90])
def test_odd_sizes_are_padded_on_the_right_and_below(
    clips: Clips, tmp_path: Path, width: int, height: int, rotation: int
) -> None:
    recipe = Recipe(frames=12, width=width, height=height, pix_fmt="yuv444p", rotation=rotation)
    made = split(clips.make(recipe), tmp_path, rate=10, images=True)
    shown = (height, width) if rotation else (width, height)
    result, task = made.done.result, made.manifest["tasks"][0]
    assert (result["width"], result["height"]) == shown
    assert (task["videoResolutionWidth"], task["videoResolutionHeight"]) == shown
    assert task["padding"] == {"right": shown[0] % 2, "bottom": shown[1] % 2}
    video, picture = made.frames(0)[0], made.pictures()[0]
    assert picture.shape[:2] == (shown[1], shown[0])
    assert (video.width, video.height) == (shown[0] + shown[0] % 2, shown[1] + shown[1] % 2)
    for upright in (made.video(0)[2][: shown[1], : shown[0]], made.pictures()[2][:, :, 1]):
        assert barcode.read(np.rot90(upright, -1 if rotation else 0)) == 6


@pytest.mark.row("S3-09")
@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied_as_players_do(clips: Clips, tmp_path: Path, rotation: int) -> None:
    clip = clips.make(Recipe(frames=12, rotation=rotation))
    made = split(clip, tmp_path, rate=10, images=True)
    player = cv2.VideoCapture(str(clip))
    _, expected = player.read()
    player.release()
    picture = made.pictures()[0]
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).mean() < 2
    video = made.frames(0)[0].to_ndarray(format="bgr24")
    assert video.shape == expected.shape
    assert np.abs(video.astype(int) - expected).mean() < 4
    assert made.manifest["source"]["rotation"] == rotation
    assert (made.done.result["width"], made.done.result["height"]) == (expected.shape[1], expected.shape[0])


# H.273 matrices: the weights of red and blue in luma.
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}
PATCHES = [(90, 90, 200), (150, 60, 110), (120, 170, 90), (200, 110, 140)]


def bgr_of(patch: tuple[int, int, int], matrix: int, full: bool) -> list[float]:
    """What a Y'CbCr value means, by the standard's equations."""
    red, blue = WEIGHTS[matrix]
    scale_y, scale_c, zero = (255, 255, 0) if full else (219, 224, 16)
    y, cb, cr = (patch[0] - zero) / scale_y, (patch[1] - 128) / scale_c, (patch[2] - 128) / scale_c
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return [255 * min(1, max(0, value)) for value in (b, g, r)]


def patch_of(picture: Picture) -> Any:
    """The mean colour in the middle of the lower half."""
    height, width = picture.shape[:2]
    return picture[height * 5 // 8 : height * 7 // 8, width // 4 : width * 3 // 4].reshape(-1, 3).mean(axis=0)


def check_colours(made: Split, expected: list[float], matrix: int) -> None:
    assert np.abs(patch_of(made.pictures()[0]) - expected).max() <= TOLERANCE
    assert np.abs(patch_of(made.pictures("thumbnails")[0]) - expected).max() <= TOLERANCE
    frame = made.frames(0)[0]
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (matrix, matrix, matrix, 1)
    shown = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    assert np.abs(patch_of(shown) - expected).max() <= TOLERANCE


@pytest.mark.row("S3-09")
@pytest.mark.parametrize("matrix", [1, 6], ids=["bt709", "bt601"])
@pytest.mark.parametrize("colour_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize("patch", PATCHES)
def test_colours_are_right(
    clips: Clips, tmp_path: Path, matrix: int, colour_range: int, patch: tuple[int, int, int]
) -> None:
    recipe = Recipe(frames=3, patch=patch, colours=(colour_range, matrix, matrix, matrix))
    made = split(clips.make(recipe), tmp_path, rate=10, images=True, crf=10)
    check_colours(made, bgr_of(patch, matrix, colour_range == 2), matrix)
    assert made.manifest["source"]["colour"]["matrix_assumed"] is False


@pytest.mark.parametrize(("height", "matrix"), [(720, 1), (480, 6)])
def test_untagged_colours_follow_the_size(clips: Clips, tmp_path: Path, height: int, matrix: int) -> None:
    made = split(
        clips.make(Recipe(frames=2, width=320, height=height, patch=PATCHES[0])), tmp_path, rate=10, images=True, crf=10
    )
    check_colours(made, bgr_of(PATCHES[0], matrix, full=False), matrix)
    assert made.manifest["source"]["colour"]["matrix_assumed"] is True


def test_a_frame_on_screen_for_many_samples_has_one_colour(clips: Clips, tmp_path: Path) -> None:
    """Its picture is made many times, by several threads, while it is being encoded."""
    ticks = (*range(0, 90_000, 1_000), 270_000)
    clip = clips.make(Recipe(frames=91, width=320, height=720, patch=PATCHES[0], ticks=ticks))
    made = split(clip, tmp_path, rate=30, images=True, crf=10)
    still = [made.artifacts[f"frames/{number:06d}.jpg"] for number in range(30, 90)]
    assert len(set(still)) == 1
    check_colours(made, bgr_of(PATCHES[0], 1, full=False), 1)


def test_pictures_are_optional_and_thumbnails_too(clips: Clips, tmp_path: Path) -> None:
    clip = clips.make(Recipe(frames=30, width=320, height=180))
    folders = [
        {name.split("/")[0] for name in split(clip, tmp_path / str(i), rate=2, **terms).artifacts}
        for i, terms in enumerate(({}, {"images": True}, {"images": True, "thumbnails": False}))
    ]
    assert folders == [
        {"tasks", "manifest.json"},
        {"tasks", "frames", "thumbnails", "manifest.json"},
        {"tasks", "frames", "manifest.json"},
    ]
    made = split(clip, tmp_path / "small", rate=2, images=True)
    assert [picture.shape[:2] for picture in made.pictures("thumbnails")] == [(141, 250)] * 2


@pytest.mark.row("S3-08")
def test_the_task_record_field_by_field(clips: Clips, tmp_path: Path) -> None:
    clip = clips.make(Recipe(Fraction(25), frames=60))
    made = split(clip, tmp_path, rate=5, frames_per_task=8)
    first, second = (made.workspace.job.steps[n] for n in (0, 1))
    assert (second.name, second.ordinal) == ("task-1", 1)
    assert first.record["frameStart"] == 0
    assert second.record == {
        "task": 1,
        "taskName": f"task-1-{clip.stem}",
        "videoName": clip.name,
        "videoPath": "tasks/task-0001.mp4",
        "taskStatus": 0,
        "firstSample": 8,
        "frameStart": 40,
        "frameEnd": 55,
        "frameStartTime": 1.6,
        "frameCount": 4,
        "original_frames": [40, 45, 50, 55],
        "original_pts": [40 * 512, 45 * 512, 50 * 512, 55 * 512],
        "frameRate": 5,
        "Originalframerate": 25,
        "skipFrameCount": 4.8,
        "videoDuration": 2.4,
        "videoResolutionWidth": 192,
        "videoResolutionHeight": 64,
        "padding": {"right": 0, "bottom": 0},
        "completedFrames": 0,
        "boxCount": 0,
        "labelCounts": {"totalCount": 0, "labelList": []},
        "substitutedFrames": 0,
    }
    assert made.done.result == {
        "tasks": 2,
        "frames": 12,
        "planned": 12,
        "rate": "5",
        "duration": 2.4,
        "width": 192,
        "height": 64,
        "source_frames": 60,
        "source_rate": "25",
        "images": False,
        "warnings": [],
        "manifest": "manifest.json",
    }


@pytest.mark.row("S3-08", "S3-10")
def test_the_manifest_names_every_artifact_with_its_hash(clips: Clips, tmp_path: Path) -> None:
    made = split(clips.make(Recipe(frames=60)), tmp_path, rate=10, frames_per_task=8, images=True)
    named = {}
    for task in made.manifest["tasks"]:
        named[task["video"]["name"]] = task["video"]
        assert len(task["samples"]) == task["frameCount"] == len(task["original_frames"])
        for row in task["samples"]:
            assert row["task"] == task["task"]
            named |= {row[field]["name"]: row[field] for field in ("image", "thumbnail")}
    made_of = {name: data for name, data in made.artifacts.items() if name != "manifest.json"}
    assert named.keys() == made_of.keys()
    for name, data in made_of.items():
        assert named[name] == {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert [row["k"] for row in made.samples] == list(range(20))
    assert [row["index"] for row in made.samples] == [k % 8 for k in range(20)]
    assert [row["time"] for row in made.samples] == [pytest.approx(k / 10) for k in range(20)]
    assert all(row["image"]["name"] == f"frames/{row['k']:06d}.jpg" for row in made.samples)
    assert all(row["thumbnail"]["name"] == f"thumbnails/{row['k']:06d}.jpg" for row in made.samples)
    source = made.manifest["source"]
    starts = [(row["pts"] - source["start_pts"]) * Fraction(source["time_base"]) for row in made.samples]
    assert starts == [row["source_frame"] / Fraction(30) for row in made.samples]


def test_the_pixels_shape_of_the_source_is_kept(tmp_path: Path) -> None:
    clip = tmp_path / "anamorphic.mp4"
    with av.open(clip, mode="w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        codec = stream.codec_context
        codec.width, codec.height, codec.pix_fmt = 192, 64, "yuv420p"
        codec.sample_aspect_ratio = Fraction(16, 15)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((96, 192), 90, np.uint8), format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    made = split(clip, tmp_path, rate=5)
    assert made.manifest["source"]["pixel_aspect"] == "16/15"
    path = tmp_path / "task.mp4"
    path.write_bytes(made.artifacts["tasks/task-0000.mp4"])
    with av.open(path) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
