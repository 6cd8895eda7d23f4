"""From an upload to tasks, and what people and detectors say about them: over HTTP, on real servers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.bucket import Bucket
from tests.gallery import SIDE, Studio, image, packed, place, squares
from tests.onnx import model
from tests.system import System, until


@pytest.fixture(scope="module")
def studio(shared: System) -> Studio:
    shared.start("gateway", "relay", "splitter", REELMILL_SLOTS="2")
    return Studio(shared)


def overlap(one: dict[str, Any], x: float, y: float) -> float:
    """Intersection over union of a box and the square at a place."""
    across = min(one["x"] + one["width"], x + SIDE) - max(one["x"], x)
    down = min(one["y"] + one["height"], y + SIDE) - max(one["y"], y)
    both = max(0.0, across) * max(0.0, down)
    return float(both / (one["width"] * one["height"] + SIDE * SIDE - both))


def with_a_model(studio: Studio, project: str, same: dict[str, Any]) -> None:
    """A model of one's own, known by a name: here it sees a car in the same place on every picture."""
    seen = np.array([[[80.0], [60.0], [40.0], [20.0], [0.75]]])
    known = {"model": studio.system.upload(model(seen, 160), "cars.onnx"), "settings": {"labels": ["car"], "size": 160}}
    assert studio.http.put("/v1/detectors/cars", json=known).is_success
    assert [each["name"] for each in studio.get("/v1/detectors")["detectors"]] == ["contrast", "cars"]
    third = studio.upload(project, **same | {"annotation_version": 3, "detector": "cars"})
    assert third["state"] == "succeeded", third["error"]
    frames = studio.frames(studio.tasks(project)[0]["id"])
    assert [box["label"] for box in frames[0]["boxes"]] == ["person"]
    for frame in frames[1:]:
        [box] = frame["boxes"]
        assert (box["label"], box["x"], box["y"], box["width"], box["height"]) == ("car", 120, 100, 80, 40)
        assert box["confidence"] == 0.75


@pytest.mark.row("S3-01", "S3-08", "S3-10", "S3-13", "S3-14", "S3-16", "S3-17", "S3-18", "S3-19")
def test_a_video_becomes_annotated_tasks_and_what_people_said_stays(studio: Studio, tmp_path: Path) -> None:
    file = studio.system.upload(squares(tmp_path / "walk.mp4"), "walk.mp4")
    project = studio.project()
    asked = {"file": file, "rate": 10, "frames_per_task": 12}
    done = studio.upload(project, **asked, request_type=1, annotation_version=1)
    assert (done["state"], done["status"], done["progress"], done["task_count"]) == ("succeeded", 1, 100, 3)
    tasks = studio.tasks(project)
    assert [(task["frame_count"], task["name"]) for task in tasks] == [
        (12, "task-0-walk"),
        (12, "task-1-walk"),
        (6, "task-2-walk"),
    ]
    for task in tasks:
        assert (task["status"], task["audit_status"], task["task_status"], task["annotation_version"]) == (0, 0, 0, 1)
        frames = studio.frames(task["id"])
        assert [frame["number"] for frame in frames] == list(range(1, task["frame_count"] + 1))
        for frame in frames:
            assert not frame["is_empty"]
            [box] = frame["boxes"]
            assert overlap(box, *place(12 * task["number"] + frame["number"] - 1)) > 0.7
            assert box["label"] == "object"
            assert 0 < box["confidence"] <= 1

    # The same bytes again, by whatever name: only by force; and not over what a person has said.
    other = studio.system.upload(squares(tmp_path / "walk2.mp4"), "another.mp4")
    assert other == file
    again = studio.http.post(f"/v1/projects/{project}/uploads", json=asked)
    assert (again.status_code, again.json()["code"]) == (409, "content_exists")
    first = tasks[0]["id"]
    human = {"label": "person", "x": 1.5, "y": 2, "width": 30, "height": 40, "attributes": {"pose": "sitting"}}
    studio.say(first, 1, human)
    refused = studio.http.post(f"/v1/projects/{project}/uploads", json=asked | {"force": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "human_work")

    # A second look of a later version: the same frames, the human box, and no box twice.
    same = {"file": file, "request_type": 2, "annotation_version": 1}
    low = studio.http.post(f"/v1/projects/{project}/uploads", json=same)
    assert (low.status_code, low.json()["code"], low.json()["current"]) == (400, "version_too_low", 1)
    wrong = same | {"annotation_version": 2, "frames_per_task": 120}
    mismatch = studio.http.post(f"/v1/projects/{project}/uploads", json=wrong)
    assert (mismatch.status_code, mismatch.json()["previous"]) == (400, 12)
    strange = same | {"annotation_version": 2, "detector": "nobody"}
    missing = studio.http.post(f"/v1/projects/{project}/uploads", json=strange)
    assert (missing.status_code, missing.json()["code"]) == (409, "model_missing")
    assert studio.upload(project, **same | {"annotation_version": 2})["state"] == "succeeded"
    record = studio.get(f"/v1/tasks/{first}")["record"]
    counted = [{"label": "object", "count": 11}, {"label": "person", "count": 1}]
    assert (record["boxCount"], record["labelCounts"]) == (12, {"totalCount": 12, "labelList": counted})
    assert (record["completedFrames"], record["AutoAnnotationVersion"], record["taskStatus"]) == (1, 2, 1)
    assert studio.content(tasks[0]["video"]) == studio.http.get(record["S3_url"]).content
    frames = studio.frames(first)
    assert len(frames) == 12
    [kept] = frames[0]["boxes"]
    assert {name: kept[name] for name in human} == human
    assert kept["human"]
    assert all(len(frame["boxes"]) == 1 and not frame["boxes"][0]["human"] for frame in frames[1:])
    assert {task["annotation_version"] for task in studio.tasks(project)} == {2}
    with_a_model(studio, project, same)
    # A name says nothing: other bytes by the same name are another video.
    namesake = studio.system.upload(squares(tmp_path / "other.mp4", frames=5, blue=70), "walk.mp4")
    assert studio.upload(project, **asked | {"file": namesake})["state"] == "succeeded"
    assert [task["name"] for task in studio.tasks(project)].count("task-0-walk") == 2


@pytest.mark.row("S3-12", "S3-14", "S3-18", "S3-46")
def test_by_force_other_tasks_take_their_place_and_nothing_of_the_old_ones_stays(
    studio: Studio, tmp_path: Path
) -> None:
    file = studio.system.upload(squares(tmp_path / "run.mp4", blue=90), "run.mp4")
    bucket = Bucket(studio.system.environment)
    uploaded = set(bucket.keys())
    project = studio.project()
    asked = {"file": file, "rate": 10, "frames_per_task": 12}
    before = studio.upload(project, **asked)
    first = studio.tasks(project)[0]["id"]
    old = studio.say(first, 1)["image"]
    look = {"file": file, "request_type": 2, "annotation_version": 1}

    def ask(_: int) -> httpx.Response:
        # Who waits for the other for too long is told to come again.
        while (answer := studio.http.post(f"/v1/projects/{project}/uploads", json=look)).status_code == 503:
            assert answer.json()["code"] == "busy", answer.text
        return answer

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(ask, range(2)))
    assert sorted(answer.status_code for answer in both) == [202, 400]
    [taken] = [answer.json()["id"] for answer in both if answer.is_success]
    assert studio.ended(taken)["finished_at"] > studio.ended(before["id"])["finished_at"]
    forced = studio.upload(project, **asked | {"frames_per_task": 30, "force": True, "confirm": True, "rate": 5})
    assert forced["served"]
    assert not studio.get(f"/v1/uploads/{before['id']}")["served"]
    [task] = studio.tasks(project)
    assert task["frame_count"] == 15
    assert studio.http.get(f"/v1/tasks/{first}").status_code == 404
    assert studio.http.delete(f"/v1/projects/{project}").status_code == 204
    assert studio.http.get(f"/v1/files/{old}/content").status_code == 404
    assert studio.http.get(f"/v1/files/{task['video']}/content").status_code == 404
    assert studio.http.get(f"/v1/uploads/{forced['id']}").status_code == 404
    until(lambda: set(bucket.keys()) <= uploaded, "nothing of the project is left in the store")


@pytest.mark.row("S3-07", "S3-21")
def test_images_become_tasks_of_equal_size(studio: Studio) -> None:
    sizes = [(101, 57), (64, 80), (33, 33), (101, 60), (20, 90)]
    named = {}
    for n, (width, height) in enumerate(sizes):
        suffix = (".png", ".jpg", ".jpeg")[n % 3]
        named[f"set/{n + 8}{suffix}"] = image(width, height, (10 * n, 90, 200), suffix)
    archive = studio.system.upload(packed(named | {"set/notes.txt": b"no image"}), "set.zip")
    project = studio.project()
    done = studio.upload(project, images=[archive], frames_per_task=3)
    assert (done["state"], done["task_count"]) == ("succeeded", 2)
    tasks = studio.tasks(project)
    assert [task["frame_count"] for task in tasks] == [3, 2]
    seen = []
    for task in tasks:
        for frame in studio.frames(task["id"]):
            source = frame["source"]
            border = source["border"]
            assert source["width"] + border["left"] + border["right"] == task["width"]
            assert source["height"] + border["top"] + border["bottom"] == task["height"]
            seen.append((source["width"], source["height"]))
            data = np.frombuffer(studio.content(frame["image"]), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
            assert picture is not None
            assert picture.shape[:2] == (task["height"], task["width"])
            middle = picture[border["top"] + source["height"] // 2, border["left"] + source["width"] // 2]
            assert abs(int(middle[2]) - 200) < 12
    assert seen == sizes  # 8, 9, 10, 11, 12: as people count
    one = studio.system.upload(image(40, 30, (1, 2, 3)), "one.png")
    cases = ((5, 6, 1), (5, 5, 1), (5, 4, 2), (6, 3, 2))  # one too few for a task, just enough, one too many, two tasks
    for there, each, made in cases:
        asked = {"images": [archive[:12], one][: there - 4], "frames_per_task": each, "seed": 3}
        by_hand = studio.system.until_state(studio.system.submit("split.images", asked), "succeeded", "failed")
        assert (by_hand["result"]["tasks"], by_hand["result"]["frames"]) == (made, there)
    two = studio.system.upload(image(41, 31, (3, 2, 1)), "two.png")
    assert studio.upload(project, images=[one, two], frames_per_task=2)["task_count"] == 1
    bad = studio.upload(project, images=[studio.system.upload(b"text", "a.png")])
    assert (bad["status"], bad["error"]["error_code"]) == (2, "unreadable_image")
