"""Analyses with models, from the upload to what comes back: against the truth, and against DeepLabCut itself."""

import io
import json
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from infra.cli.exits import Exit
from schemas.states import JobState
from tests.clips.factory import Recipe, encode
from tests.dots import FRAMES, Dots, archives, rig, scene
from tests.dots.scene import Array
from tests.journey.halfway import no_end
from tests.journey.test_cli import reelmill
from tests.system import System, until

TRACKER = {"points": [{"name": name, "colour": colour} for name, colour in scene.COLOURS.items()]}
#: The first analysis imports DeepLabCut.
IMPORTING = 900.0


@pytest.fixture(scope="module")
def system(shared: System, dots: Dots) -> System:
    """Everything that analyses need, with the models registered: `dots`, `colours` and the rigs of both."""
    shared.start("gateway", "relay", "analyzer", "pose")
    zipped = archives.of_folder(dots.model)
    headers = {"Content-Type": "application/zip"}
    made = shared.http.post("/v1/models", params={"name": "dots"}, content=zipped, headers=headers)
    assert made.status_code == 201, made.text
    calibration = shared.upload(archives.of_folder(dots.rig), "rig.zip")
    register(shared, name="colours", kind="tracker", tracker=TRACKER | {"skeleton": scene.SKELETON})
    register(shared, name="dots-rig", kind="rig", file=calibration, models=["dots"])
    cameras = [{"name": name, "projection": c.projection.tolist()} for name, c in scene.CAMERAS.items()]
    register(shared, name="colours-rig", kind="rig", cameras=cameras, models=["colours"])
    return shared


def register(system: System, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = system.http.post("/v1/models", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def done(system: System, kind: str, **params: Any) -> dict[str, Any]:
    job = system.until_state(system.submit(kind, params), "succeeded", "failed", "cancelled", patience=IMPORTING)
    assert job["state"] == "succeeded", job["error"]
    return dict(job["result"])


def failed(system: System, kind: str, **params: Any) -> str:
    job = system.until_state(system.submit(kind, params), "succeeded", "failed", "cancelled", patience=IMPORTING)
    assert job["state"] == "failed", job["result"]
    return str(job["error"]["code"])


def content(system: System, file_id: str) -> bytes:
    answer = system.http.get(f"/file/{file_id}")
    assert answer.is_success, answer.text
    return answer.content


def table(system: System, file_id: str) -> Array:
    """A CSV with DeepLabCut's three header lines, read as its users read it: frames x points x 3."""
    read = pd.read_csv(
        io.BytesIO(content(system, file_id)), header=[0, 1, 2], index_col=0, float_precision="round_trip"
    )
    assert read.columns.names == ["scorer", "bodyparts", "coords"]
    assert list(read.index) == list(range(len(read)))
    values: Array = read.to_numpy(float).reshape(len(read), -1, 3)
    return values


def played(data: bytes) -> tuple[str, str, Fraction, list[Any]]:
    """Codec, pixel format, rate and frames (red, green, blue) of a video."""
    with av.open(io.BytesIO(data), mode="r") as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        about = (codec.name, str(codec.pix_fmt), Fraction(stream.average_rate or 0))
        return *about, [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


@pytest.mark.row("S1-15", "S1-09", "S1-26")
def test_deeplabcut_finds_the_points_where_they_are(system: System, dots: Dots) -> None:
    clip = dots.mono
    file = system.upload(clip.path.read_bytes(), "mono.mp4")
    result = done(system, "analyze.video", file=file, model="dots")
    found = table(system, result["csv_file"])
    away = np.linalg.norm(found[..., :2] - clip.pixels, axis=-1)
    assert away[clip.visible].max() < 3
    assert found[..., 2][clip.visible].min() > 0.3
    assert found[..., 2][~clip.visible].max() < 0.3
    np.testing.assert_allclose(found, dots.said("mono"), rtol=0, atol=1e-6)
    (hdf := system.folder / "poses.h5").write_bytes(content(system, result["h5_file"]))
    kept = pd.read_hdf(hdf, "df_with_missing")
    np.testing.assert_array_equal(kept.to_numpy().reshape(found.shape), found)
    assert (result["frames"], result["missing"]) == (FRAMES, 10)
    assert result["points"]["tail"]["missing"] == 10
    assert (result["model"]["name"], result["model"]["version"]) == ("dots", 1)
    assert result["parameters"] == {
        "file": file,
        "model": "dots@1",
        "pcutoff": None,
        "batch_size": 8,
        "allow_damaged": False,
        "plots": True,
        "centre_of_mass": False,
    }
    summary = json.loads(content(system, result["summary_file"]))
    assert summary["mean_likelihood"] == result["mean_likelihood"] == pytest.approx(found[..., 2].mean(), abs=1e-5)
    for plot in ("trajectories_plot", "likelihoods_plot"):
        drawn = cv2.imdecode(np.frombuffer(content(system, result[plot]), np.uint8), cv2.IMREAD_COLOR)
        assert drawn is not None
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


@pytest.mark.row("S1-15", "S1-07", "S1-14", "S1-26")
def test_the_built_in_tracker_through_the_old_door(system: System, dots: Dots) -> None:
    clip = dots.mono
    file = system.http.post("/file", files={"file": ("mono.mp4", clip.path.read_bytes())}).json()["file_id"]
    form = {"file_id": file[:10], "analysis": "Video", "model": "colours"}
    asked = system.http.post("/analysis", data=form)
    assert asked.status_code == 200, asked.text

    def ready() -> Any:
        answer = system.http.get(f"/analysis/{asked.json()['analysis_id']}")
        return answer.json() if answer.status_code == 200 else None

    result = until(ready, "the analysis is over", IMPORTING)
    assert (result["state"], result["analysis_name"]) == ("SUCCESS", "video")
    assert result["parameters"]["model"] == "colours@1"
    found = table(system, result["csv_file"])
    away = np.linalg.norm(found[..., :2] - clip.pixels, axis=-1)
    assert away[clip.visible].max() < 2
    assert np.isnan(found[..., :2][~clip.visible]).all()
    assert (found[..., 2][~clip.visible] == 0).all()
    refusals = {
        "missing_model": {"model": ""},
        "unknown_model": {"model": "nobody"},
        "wrong_model": {"model": "dots-rig"},
        "unknown_parameter": {"colour": "red"},
        "invalid_pcutoff": {"pcutoff": "2"},
        "missing_file2_id": {"analysis": "triangulate", "model": "dots-rig"},
    }
    for code, change in refusals.items():
        refused = system.http.post("/analysis", data=form | change)
        assert (refused.status_code, refused.json()["code"]) == (400, code)
        assert refused.json()["success"] is False
    named = system.http.post("/analysis", data=form | {"model": "nobody"}).json()["models"]
    assert named == ["colours", "colours-rig", "dots", "dots-rig", "tracker"]


@pytest.mark.row("S1-15")
def test_without_any_parameters_the_tracker_follows_what_stands_out(system: System, tmp_path: Path) -> None:
    truth = [(20 + 2.5 * k, 30 + k) for k in range(30)]
    pictures = [np.full((120, 160, 3), 90, np.uint8) for _ in truth]
    for picture, (x, y) in zip(pictures, truth, strict=True):
        cv2.circle(picture, (round(x * 16), round(y * 16)), 6 * 16, (250, 250, 250), -1, cv2.LINE_AA, 4)
    clip = scene.write(tmp_path / "dot.mp4", pictures)
    result = done(system, "analyze.video", file=system.upload(clip.read_bytes(), "dot.mp4"), model="tracker")
    found = table(system, result["csv_file"])
    assert found.shape == (30, 1, 3)
    assert np.abs(found[:, 0, :2] - truth).max() < 2


@pytest.mark.row("S1-20")
def test_a_centre_of_mass_from_the_landmarks_of_a_body(system: System, tmp_path: Path) -> None:
    names = ["nose", *(f"{side}_{part}" for part in PARTS for side in ("left", "right"))]
    levels = [(r, g, b) for r in (30, 130, 230) for g in (30, 130, 230) for b in (30, 130, 230)]
    colours = dict(zip(names, [c for c in levels if len(set(c)) > 1], strict=False))
    place = {name: np.array([20 + 38 * (n % 5), 25 + 45 * (n // 5)], float) for n, name in enumerate(names)}
    pictures = [np.full((144, 192, 3), 90, np.uint8) for _ in range(12)]
    for k in range(10):  # and in the last two there is nobody
        for name, (x, y) in place.items():
            middle = (round((x + k) * 16), round(y * 16))
            cv2.circle(pictures[k], middle, 7 * 16, colours[name], -1, cv2.LINE_AA, 4)
    points = [{"name": name, "colour": colours[name], "tolerance": 45, "least_area": 9} for name in names]
    register(system, name="person", kind="tracker", tracker={"points": points, "pcutoff": 0.1})
    file = system.upload(scene.write(tmp_path / "person.mp4", pictures).read_bytes(), "person.mp4")
    asked: dict[str, Any] = {"file": file, "model": "person", "centre_of_mass": True}
    result = done(system, "analyze.video", **asked)
    read = pd.read_csv(io.BytesIO(content(system, result["body_file"])), header=[0, 1, 2], index_col=0)
    assert read.shape == (12, 32)
    assert read.iloc[10:].isna().all().all(), "nobody is there"
    found = read.to_numpy(float).reshape(12, 16, 2)
    at = {name: found[:10, n] for n, name in enumerate([*names, "centre_of_mass"])}
    truth = 0.081 * at["nose"]
    truth += 0.497 * (at["left_shoulder"] + at["right_shoulder"] + at["left_hip"] + at["right_hip"]) / 4
    for side in ("left", "right"):
        limbs = (("elbow", "wrist", 0.022), ("shoulder", "elbow", 0.028), ("hip", "knee", 0.1))
        for a, b, mass in (*limbs, ("knee", "ankle", 0.0465), ("ankle", "toe", 0.0145)):
            truth += mass * (at[f"{side}_{a}"] + at[f"{side}_{b}"]) / 2
    np.testing.assert_allclose(at["centre_of_mass"], truth, rtol=0, atol=1e-9)
    assert all(np.abs(at[name] - place[name] - [(k, 0) for k in range(10)]).max() < 1 for name in names)
    assert failed(system, "analyze.video", **(asked | {"model": "colours"})) == "landmarks_missing"
    assert system.http.delete("/v1/models/person").status_code == 204


PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toe")


@pytest.mark.row("S1-16")
def test_a_labelled_video_plays_and_shows_the_points(system: System, dots: Dots) -> None:
    clip = dots.pair[0]
    file = system.upload(clip.path.read_bytes(), "one.mp4")
    result = done(system, "analyze.label", file=file, model="dots", skeleton=False)
    video = content(system, result["labeled_video"])
    codec, pixels, rate, frames = played(video)
    assert (codec, pixels, rate, len(frames)) == ("h264", "yuv420p", Fraction(scene.RATE), FRAMES)
    found = table(system, result["csv_file"])
    for point, name in enumerate(scene.POINTS):
        x, y = np.round(found[20, point, :2]).astype(int)
        assert np.abs(frames[20][y, x].astype(int) - result["colours"][name]).max() < 60, name
    # The points were found on the way, and are there for whoever asks next: the very same bytes, nothing done again.
    same = done(system, "analyze.video", file=file, model="dots")
    assert (same["csv_file"], same["h5_file"]) == (result["csv_file"], result["h5_file"])
    anew = done(system, "analyze.video", file=file, model="dots", force=True)
    assert (anew["csv_file"], anew["h5_file"] == same["h5_file"]) == (same["csv_file"], False)
    assert (
        content(system, done(system, "analyze.label", file=file, model="dots", skeleton=False)["labeled_video"])
        == video
    )


@pytest.mark.row("S1-17")
def test_a_single_picture(system: System, dots: Dots) -> None:
    clip = dots.mono
    with av.open(clip.path) as container:
        picture = next(frame.to_ndarray(format="bgr24") for frame in container.decode(video=0))
    file = system.upload(cv2.imencode(".png", picture)[1].tobytes(), "first.png")
    for model in ("dots", "colours"):
        result = done(system, "analyze.image", file=file, model=model)
        found = table(system, result["csv_file"])
        assert np.linalg.norm(found[0, :, :2] - clip.pixels[0], axis=-1).max() < 3
        drawn = done(system, "analyze.label_image", file=file, model=model, skeleton=False)
        image = cv2.imdecode(np.frombuffer(content(system, drawn["labeled_image"]), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        for point, name in enumerate(scene.POINTS):
            x, y = np.round(found[0, point, :2]).astype(int)
            assert image[y, x, ::-1].tolist() == drawn["colours"][name]
    text = system.upload(b"this is no picture", "text.png")
    assert failed(system, "analyze.image", file=text, model="colours") == "unreadable_image"


@pytest.mark.row("S1-18", "S1-19", "S1-27")
def test_points_in_space_from_two_cameras(system: System, dots: Dots, tmp_path: Path) -> None:
    one, two = (system.upload(clip.path.read_bytes(), clip.path.name) for clip in dots.pair)
    result = done(system, "analyze.triangulate", file=one, file2=two, model="dots-rig")
    found = table(system, result["csv_file"])
    missing = np.isnan(found).any(axis=-1)
    hidden = ~(dots.pair[0].visible & dots.pair[1].visible)
    assert (missing == hidden).all()
    assert (result["missing"], result["points"]["earl"]["missing"]) == (5, 5)
    truth = rig.rectified(dots.pair[0].space)
    assert np.linalg.norm(found - truth, axis=-1)[~hidden].mean() < 0.3
    # DeepLabCut keeps the pixels on the way there in single precision.
    np.testing.assert_allclose(found, dots.said("space"), rtol=0, atol=2e-5)
    order = {"camera": "camera-2", "camera2": "camera-1"}
    swapped = done(system, "analyze.triangulate", file=two, file2=one, model="dots-rig", **order)
    np.testing.assert_allclose(table(system, swapped["csv_file"])[~hidden], truth[~hidden], atol=1.0)
    plain = done(system, "analyze.triangulate", file=one, file2=two, model="colours-rig")
    space = table(system, plain["csv_file"])
    assert np.linalg.norm(space - dots.pair[0].space, axis=-1)[~hidden].max() < 0.5
    film = done(system, "analyze.label_3d", file=one, file2=two, model="dots-rig", start=10, end=30)
    codec, pixels, rate, frames = played(content(system, film["labeled_video"]))
    assert (codec, pixels, rate, len(frames)) == ("h264", "yuv420p", Fraction(scene.RATE), 20)
    assert all(len(np.unique(frame.reshape(-1, 3), axis=0)) > 100 for frame in frames)
    assert film["csv_file"] == result["csv_file"]
    shorter = scene.film(tmp_path / "short.mp4", "camera-2", scene.path_in_space(20, 2.1), 3)
    short = system.upload(shorter.path.read_bytes(), "short.mp4")
    assert failed(system, "analyze.triangulate", file=one, file2=short, model="colours-rig") == "lengths_differ"
    outside = {"file": one, "file2": two, "model": "dots-rig", "start": 50, "end": 70}
    assert failed(system, "analyze.label_3d", **outside) == "bad_range"
    for change, code in (({"camera": "camera-3"}, "unknown_camera"), ({**order, "camera": "camera-1"}, "same_camera")):
        asked = {"kind": "analyze.triangulate", "params": {"file": one, "file2": two, "model": "dots-rig"} | change}
        assert system.http.post("/v1/jobs", json=asked).json()["code"] == code


@pytest.mark.row("S1-10", "X-18")
def test_bad_videos_fail_with_a_code(system: System, dots: Dots, tmp_path: Path) -> None:
    whole = dots.mono.path.read_bytes()
    encode(Recipe(frames=30, muxing=(("movflags", "+faststart"),)), tmp_path / "fast.mp4")
    cut = (tmp_path / "fast.mp4").read_bytes()
    cut = cut[: len(cut) * 6 // 10]
    cases = {
        "unreadable_video": [b"this is not a video\n" * 50, whole[: len(whole) // 4], b"#EXTM3U\n/etc/passwd\n"],
        "video_damaged": [cut],
    }
    empty = system.http.post("/v1/files", params={"name": "empty.mp4"}, content=b"")
    assert (empty.status_code, empty.json()["code"]) == (400, "file_missing")
    for code, videos in cases.items():
        for video in videos:
            file = system.upload(video, "bad.mp4")
            for model in ("dots", "colours"):
                assert failed(system, "analyze.video", file=file, model=model) == code
    result = done(system, "analyze.video", file=system.upload(cut, "cut.mp4"), model="colours", allow_damaged=True)
    assert 0 < result["frames"] < 30
    assert result["warnings"][0].startswith("video_damaged")


def test_a_snapshot_that_is_none_fails_its_job_and_no_other(system: System, dots: Dots) -> None:
    inside = {str(p.relative_to(dots.model.parent)): p.read_bytes() for p in dots.model.rglob("*") if p.is_file()}
    snapshot = next(key for key in inside if key.endswith(".pt"))
    archive = archives.of(inside | {snapshot: b"PK\x03\x04" + bytes(5000)})
    register(system, name="broken", kind="dlc", file=system.upload(archive))
    file = system.upload(dots.mono.path.read_bytes(), "mono.mp4")
    assert failed(system, "analyze.video", file=file, model="broken") == "model_unusable"
    assert done(system, "analyze.video", file=file, model="dots", force=True)["frames"] == FRAMES
    assert system.http.delete("/v1/models/broken@1").status_code == 204


def test_from_the_command_line(system: System, dots: Dots, tmp_path: Path) -> None:
    clip, out = str(dots.mono.path), tmp_path / "out"
    ran = reelmill(system, "analyze", "video", clip, "--model", "colours", "--to", str(out), "--json")
    assert ran.returncode == Exit.OK, ran.stderr
    assert json.loads(ran.stdout)["result"]["frames"] == FRAMES
    made = {"poses.csv", "poses.h5", "summary.json", "trajectories.png", "likelihoods.png"}
    assert {path.name for path in out.iterdir()} == made
    assert reelmill(system, "analyze", "triangulate", clip, "--model", "dots-rig").returncode == Exit.USAGE
    (tmp_path / "red.json").write_text(json.dumps({"points": [{"name": "red", "colour": [255, 0, 0]}]}))
    added = reelmill(system, "models", "tracker", "red", str(tmp_path / "red.json"))
    assert (added.returncode, added.stdout.split()) == (Exit.OK, ["red@1", "red"])
    assert "red" in reelmill(system, "models", "list").stdout
    assert reelmill(system, "models", "rm", "red").returncode == Exit.OK


@pytest.mark.row("S1-24")
def test_models_are_looked_into_before_they_count(system: System, dots: Dots) -> None:
    listed = system.http.get("/v1/models").json()["models"]
    assert [(m["name"], m["kind"]) for m in listed] == [
        ("colours", "tracker"),
        ("colours-rig", "rig"),
        ("dots", "dlc"),
        ("dots-rig", "rig"),
        ("tracker", "tracker"),
    ]
    good = archives.of_folder(dots.model)
    again = system.http.post("/v1/models", json={"name": "dots", "kind": "dlc", "file": system.upload(good)})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    config = (dots.model / "config.yaml").read_bytes()
    pose = next(dots.model.rglob("pytorch_config.yaml"))
    name = str(pose.relative_to(dots.model.parent))
    inside = {str(p.relative_to(dots.model.parent)): p.read_bytes() for p in dots.model.rglob("*") if p.is_file()}
    snapshot = next(key for key in inside if key.endswith(".pt"))
    unsafe = pose.read_bytes() + b"\n" + b"runner: {type: x, load_weights_only: false}\n"
    stereo = {"rig/config.yaml": (dots.rig / "config.yaml").read_bytes()}
    wicked = b"cposix\nsystem\n(S'touch /tmp/reelmill-was-here'\ntR."
    cases: list[tuple[str, str, bytes]] = [
        ("bad_archive", "dlc", b"no zip at all"),
        ("bad_archive", "dlc", good[: len(good) // 2]),
        ("unsafe_archive", "dlc", archives.of(inside | {"../../etc/cron.d/x": b"x"})),
        ("unsafe_archive", "dlc", archives.of(inside | {"/etc/cron.d/x": b"x"})),
        ("archive_bomb", "dlc", archives.of(inside | {"model/zeros": bytes(5_000_000)})),
        ("not_a_project", "dlc", archives.of({"readme.txt": b"hello"})),
        ("bad_config", "dlc", archives.of(inside | {"model/config.yaml": b"Task: [\n"})),
        (
            "unsupported_model",
            "dlc",
            archives.of(inside | {"model/config.yaml": config + b"\nmultianimalproject: true\n"}),
        ),
        ("model_without_snapshot", "dlc", archives.of_folder(dots.model, without=".pt")),
        ("bad_snapshot", "dlc", archives.of(inside | {snapshot: b"weights"})),
        ("unsafe_model", "dlc", archives.of(inside | {name: unsafe})),
        ("model_without_calibration", "rig", archives.of(stereo)),
        ("bad_calibration", "rig", archives.of(stereo | {"rig/camera_matrix/stereo_params.pickle": wicked})),
    ]
    for code, kind, data in cases:
        body = {"name": "bad", "kind": kind, "file": system.upload(data)} | (
            {"models": ["dots"]} if kind == "rig" else {}
        )
        answer = system.http.post("/v1/models", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert not Path("/tmp/reelmill-was-here").exists()
    cameras = [{"name": name, "projection": c.projection.tolist()} for name, c in scene.CAMERAS.items()]
    for wrong in (cameras[:1], [*cameras, cameras[0] | {"name": "third"}], [cameras[0]] * 2):
        answer = system.http.post(
            "/v1/models", json={"name": "bad", "kind": "rig", "cameras": wrong, "models": ["dots"]}
        )
        assert answer.status_code == 400, answer.text
    alone = {"kind": "analyze.triangulate", "params": {"file": again.json()["file_id"], "model": "dots-rig"}}
    assert system.http.post("/v1/jobs", json=alone).json()["code"] == "invalid_parameter"
    assert system.http.get("/v1/models/bad").status_code == 404
    second = register(system, name="colours", kind="tracker", tracker=TRACKER)
    assert second["version"] == 2
    assert [m["version"] for m in system.http.get("/v1/models/colours/versions").json()["versions"]] == [2, 1]
    assert system.http.delete("/v1/models/colours@1").json()["code"] == "model_in_use"
    assert system.http.delete("/v1/models/colours@2").status_code == 204
    # The upload may go: the model keeps its archive.
    assert system.http.delete(f"/v1/files/{listed[2]['file_id']}").status_code == 204
    assert system.http.get("/v1/models/dots").json()["links"]["archive"]


@pytest.mark.row("S1-12", "S1-13", "S1-22", "S1-27", "S1-06")
def test_one_at_a_time_while_light_jobs_pass_and_nothing_is_done_twice(
    system: System, dots: Dots, tmp_path: Path
) -> None:
    clips = [long_clip(tmp_path, seed) for seed in range(3)]
    files = [system.upload(clip, "long.mp4") for clip in clips]
    # Two processes for one device: the first one has it, the other one stands by.
    until(lambda: TAKEN in system.log("pose"), "the first has the device")
    system.start("pose.2")
    until(lambda: "broker.connected" in system.log("pose.2"), "the other one is there")
    other = system.upload(dots.pair[1].path.read_bytes(), "other.mp4")
    with no_end(system, "pose"):
        jobs = [system.submit("analyze.video", {"file": file, "model": "colours"}) for file in files]
        waiting = system.submit("analyze.triangulate", {"file": files[0], "file2": other, "model": "colours-rig"})
        struck = until(lambda: under_way(system, jobs), "the first is under way")
        assert system.http.delete(f"/v1/files/{other}").json()["code"] == "file_in_use"
        sleep = system.submit("analyze.sleep", {"file": other, "time": 0})
        assert system.until_state(sleep, "succeeded")["state"] == "succeeded"
        # Those that need the device still wait in line; what needs none has passed them.
        assert [system.job(job)["state"] for job in (jobs[2], waiting)] == ["queued", "queued"]
        assert system.http.post(f"/v1/jobs/{waiting}/cancel").status_code == 202
        assert system.http.delete(f"/v1/files/{other}").status_code == 204
        # The process that does the work is killed in the middle; the other one takes over, and the device with it.
        assert TAKEN not in system.log("pose.2")
        system.signal("pose.2", signal.SIGSTOP)  # it has no work yet whose lease could lapse
        system.kill("pose")
        system.lapse()
        system.signal("pose.2", signal.SIGCONT)
        until(lambda: TAKEN in system.log("pose.2"), "the other one has the device")
        rest = [job for job in jobs if job != struck]
        gone = until(lambda: under_way(system, rest), "another one is under way")
        assert system.http.post(f"/v1/jobs/{gone}/cancel").status_code == 202
        system.until_state(gone, "cancelled")
    for job in set(jobs) - {gone}:
        assert system.until_state(job, "succeeded", patience=IMPORTING)["result"]["frames"] == LONG
    assert system.job(struck)["attempt"] == 2
    assert str(system.job(struck)["worker"]).endswith(f":{system.processes['pose.2'].pid}")
    assert system.http.get(f"/v1/jobs/{gone}/outputs").json()["outputs"] == []
    outputs = system.http.get(f"/v1/jobs/{struck}/outputs").json()["outputs"]
    assert len({output["name"] for output in outputs}) == len(outputs) == 5
    assert never_two(system, [*jobs, waiting])


LONG = 2000
TAKEN = "device.taken"


def under_way(system: System, jobs: list[str]) -> str | None:
    """One of the jobs that is in the middle of its work."""
    seen = {job: system.job(job) for job in jobs}
    return next((job for job, view in seen.items() if view["state"] == "running" and view["progress"] > 1), None)


def long_clip(folder: Path, seed: int) -> bytes:
    """Long enough to be caught in the middle."""
    short = scene.film(folder / f"short-{seed}.mp4", "camera-1", scene.path_in_space(20, 0.3 + seed), seed).path
    return scene.looped(folder / f"long-{seed}.mp4", short, LONG // 20).read_bytes()


def never_two(system: System, jobs: list[str]) -> bool:
    """Whether, by the facts, no two of them were running at the same time."""
    running: set[str] = set()
    for fact in facts(system):
        word = fact["type"].rpartition(".")[2]
        if fact["job_id"] in jobs and word == "running":
            running.add(fact["job_id"])
        elif fact["job_id"] in jobs and word in set(JobState):
            running.discard(fact["job_id"])
        if len(running) > 1:
            return False
    return True


def facts(system: System) -> Iterator[dict[str, Any]]:
    """All facts about jobs so far, in their order."""
    since, more = 0, True
    while more:
        page = system.http.get("/v1/changes", params={"since": since, "limit": 1000, "types": "job.#"}).json()
        yield from page["changes"]
        since, more = page["next"], page["more"]
