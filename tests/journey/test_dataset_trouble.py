"""Trouble on the way from uploads to datasets: kills, poison, repeats, and how it is told while it goes on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika
import pytest
from sqlalchemy import Connection, text

from infra import db
from infra.cli.exits import Exit
from infra.settings import Settings
from infra.storage import Storage
from tests.broker import publishing
from tests.gallery import Studio, packed, squares
from tests.journey.halfway import no_further_than
from tests.journey.test_cli import reelmill
from tests.journey.test_events import listening
from tests.journey.test_events import told as told_by
from tests.system import System, until

#: Its lease cannot be renewed while somebody has its row.
HOLD = text("update jobs set lease_until = now() + interval '10 min' where id = :job and state = 'running'")
UNSENT = text("select count(*) from jobs where state = 'queued' and published_at is null")


@pytest.fixture(scope="module")
def studio(shared: System) -> Studio:
    shared.start("gateway", "relay", "splitter", REELMILL_SLOTS="2")
    return Studio(shared)


@pytest.mark.row("S3-11", "S3-14", "S3-41", "S3-43", "S3-50", "S3-52", "S3-10")
def test_a_kill_at_half_time_changes_nothing_of_what_is_made(studio: Studio, tmp_path: Path) -> None:
    system = studio.system
    file = system.upload(squares(tmp_path / "long.mp4", frames=450), "long.mp4")
    asked = {"file": file, "rate": 10, "frames_per_task": 30}
    calm, rough = studio.project("calm"), studio.project("rough")
    studio.upload(calm, **asked)
    told: list[tuple[float, int, int]] = []

    def look() -> dict[str, Any]:
        there = studio.tasks(rough)
        assert all(len(studio.frames(task["id"])) == task["frame_count"] for task in there)
        view = studio.get(f"/v1/uploads/{upload['id']}")
        told.append((view["progress"], view["task_count"], view["status"]))
        assert not there or view["status"] == 1
        return view

    with no_further_than(system, 4):
        upload = system.http.post(f"/v1/projects/{rough}/uploads", json=asked).json()
        job = upload["job_id"]
        until(lambda: look()["task_count"] == 4, "some tasks are there")
        for name in ("splitter", "relay"):
            system.kill(name)
    system.lapse()
    kept = look()["task_count"]
    # The same message again, as a broker may deliver it, and a consumer that takes it up.
    with publishing(system.environment["REELMILL_AMQP_URL"]) as channel:
        body = json.dumps(system.job(job)["params"]).encode()
        for _ in range(3):
            properties = pika.BasicProperties(message_id=job, type="split.video", delivery_mode=2)
            channel.basic_publish("reelmill.jobs", "split.video", body, properties)
    system.kill("gateway")
    system.start("relay", "splitter", "gateway", REELMILL_SLOTS="2")
    until(lambda: look()["status"] == 1, "the upload is completed")
    assert kept == 4
    percents = [percent for percent, _, _ in told]
    assert percents == sorted(percents)
    assert all((percent == 100) == (status == 1) for percent, _, status in told)
    assert told[-1] == (100, 15, 1)
    mine, theirs = (
        [
            (task["name"], task["video"], [(f["image"], f["thumbnail"]) for f in studio.frames(task["id"])])
            for task in studio.tasks(project)
        ]
        for project in (calm, rough)
    )
    assert mine == theirs
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.connect() as connection:
        attempts = connection.execute(text("select name, token from job_steps where job_id = :job"), {"job": job}).all()
    engine.dispose()
    assert len({row.token for row in attempts}) > 1
    assert sum(token == min(row.token for row in attempts) for _, token in attempts) >= kept
    facts = studio.get(f"/v1/jobs/{job}/events")["events"]
    progress = [fact["data"]["progress"] for fact in facts if fact["data"].get("progress") is not None]
    assert progress == sorted(progress)
    assert [fact["type"] for fact in facts].count("job.split.video.succeeded") == 1
    # The stream tells the same, in the same order.
    with listening(system, job_id=job, last_event_id="0") as heard:
        next(heard)
        streamed = [told_by(next(heard)) for _ in facts]
    assert [(each["type"], each["data"]) for each in streamed] == [(fact["type"], fact["data"]) for fact in facts]
    _by_force(studio, calm, asked)


def _by_force(studio: Studio, project: str, asked: dict[str, Any]) -> None:
    """Cut anew by force, killed on the way: the old tasks are served, whole, until the new ones are, whole."""
    system = studio.system
    before = {task["id"] for task in studio.tasks(project)}
    marked = studio.tasks(project)[3]["id"]
    studio.say(marked, 2, {"label": "person", "x": 1, "y": 2, "width": 3, "height": 4})
    again = asked | {"frames_per_task": 45, "force": True}
    refused = system.http.post(f"/v1/projects/{project}/uploads", json=again)
    assert (refused.status_code, refused.json()["code"]) == (409, "human_work")

    def served() -> set[str]:
        now = studio.tasks(project)
        ids = {task["id"] for task in now}
        assert ids == before or (len(ids) == 10 and not ids & before)
        assert {task["frame_count"] for task in now} == ({30} if ids == before else {45})
        return ids

    def aside() -> bool:
        return bool(served()) and studio.get(f"/v1/uploads/{upload['id']}")["task_count"] == 3

    with no_further_than(system, 3):
        upload = system.http.post(f"/v1/projects/{project}/uploads", json=again | {"confirm": True}).json()
        until(aside, "new tasks are cut aside")
        system.kill("splitter")
    assert served() == before
    assert studio.frames(marked)[1]["boxes"][0]["label"] == "person"
    assert studio.content(studio.frames(marked)[1]["image"])
    system.lapse()
    system.start("splitter", REELMILL_SLOTS="2")
    until(lambda: served() != before, "the new tasks take the place of the old ones")
    assert studio.get(f"/v1/uploads/{upload['id']}")["served"]
    assert system.http.get(f"/v1/tasks/{marked}").status_code == 404


@pytest.mark.row("S3-23", "S3-36", "S3-42")
def test_a_poisoned_task_fails_alone_and_is_built_once_it_is_cured(studio: Studio, tmp_path: Path) -> None:
    system = studio.system
    project = studio.project("poison")
    file = system.upload(squares(tmp_path / "poison.mp4", blue=150), "poison.mp4")
    studio.upload(project, file=file, rate=10, frames_per_task=5)
    tasks = studio.tasks(project)
    for task in tasks:
        studio.accept(task["id"])
    image = studio.frames(tasks[2]["id"])[0]["image"]
    good = studio.content(image)
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.connect() as connection:
        key = connection.execute(text("select object_key from blobs where sha256 = :of"), {"of": image}).scalar_one()
    engine.dispose()
    values = {name.removeprefix("REELMILL_").lower(): value for name, value in system.environment.items()}
    storage = Storage(Settings.model_validate({k: v for k, v in values.items() if k in Settings.model_fields}))
    storage.put_bytes(key, b"poison", "image/jpeg")
    body = {
        "projects": [project],
        "augmentations": [{"type": "grayscale", "percent": 100}],
        "build": False,
        "split": {"by_video": False},
    }
    made = system.http.post("/v1/datasets/poison/versions", json=body).json()
    failed = reelmill(system, "dataset", "build", "-v", made["id"], "--json")
    assert failed.returncode == Exit.FAILED, failed.stderr
    view = json.loads(failed.stdout)
    assert (view["state"], view["is_error"], view["progress"]) == ("failed", True, 83.3)
    assert view["tasks"] == {"complete": 5, "failed": 1, "pending": 0}
    assert [task["state"] for task in view["task_list"]].count("failed") == 1
    [error] = view["errors"]
    assert error.startswith(f"{tasks[2]['name']}: ")
    here = f"/v1/datasets/poison/versions/{view['version']}"
    assert studio.get(here)["state"] == studio.get(here)["state"] == "failed"
    assert studio.http.get("/v1/datasets/poison/versions/latest").status_code == 404
    storage.put_bytes(key, good, "image/jpeg")
    cured = reelmill(system, "dataset", "build", "-v", made["id"], "--json")
    assert cured.returncode == Exit.OK, cured.stderr + cured.stdout
    view = json.loads(cured.stdout)
    assert (view["state"], view["progress"]) == ("complete", 100)
    assert view["archives"][0]["state"] == "succeeded"
    saved = reelmill(system, "dataset", "get", "poison", "--to", str(tmp_path))
    assert saved.returncode == Exit.OK, saved.stderr
    assert (tmp_path / f"poison-{view['version']}-yolo.zip").stat().st_size == view["archives"][0]["size"]
    assert reelmill(system, "dataset", "build", "-v", "00000000-0000-7000-8000-000000000000").returncode == 3
    assert view["id"] in reelmill(system, "dataset", "list", "poison", "--json").stdout


@contextmanager
def held_up(system: System, job: str) -> Iterator[None]:
    """Once a job runs, it gets no further: somebody has its row, and every word of its progress waits for that."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1, idle_seconds=3600)

    def taken(connection: Connection) -> bool:
        return connection.execute(HOLD, {"job": job}).rowcount == 1

    with engine.begin() as connection:
        until(lambda: taken(connection), "the job runs")
        yield
    engine.dispose()


def all_sent(system: System) -> bool:
    """Whether of every job in line it is noted that its message is out: who is just being noted is passed over."""
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.connect() as connection:
        unsent = connection.execute(UNSENT).scalar_one()
    engine.dispose()
    return bool(unsent == 0)


@pytest.mark.row("S3-44")
def test_nobody_waits_for_a_slow_task(studio: Studio, tmp_path: Path) -> None:
    system = studio.system
    project = studio.project("uneven")
    for name, blue, frames, each in (("a-slow", 210, 150, 150), ("fast", 220, 20, 1)):
        file = system.upload(squares(tmp_path / f"{name}.mp4", frames, blue), f"{name}.mp4")
        studio.upload(project, file=file, rate=10, frames_per_task=each)
    tasks = studio.tasks(project)
    for task in tasks:
        studio.accept(task["id"])
    body = {
        "projects": [project],
        "split": {"percentages": {"training": 100, "validation": 0, "testing": 0}},
        "augmentations": [{"type": name, "percent": 100} for name in ("noise_gaussian", "blur_median", "rotate")],
        "formats": [],
    }
    system.stop_one("splitter")
    asked = studio.http.post("/v1/datasets/uneven/versions", json=body)
    assert asked.status_code == 202, asked.text
    until(lambda: all_sent(system), "the jobs are in line, and the slow one is the first")
    system.start("splitter", REELMILL_SLOTS="2")
    here = f"/v1/dataset-versions/{asked.json()['id']}"
    slow = next(task["id"] for task in tasks if task["frame_count"] == 150)
    with held_up(system, next(t["job_id"] for t in studio.get(here)["task_list"] if t["task_id"] == slow)):
        until(lambda: studio.get(here)["tasks"]["complete"] == 20, "the others are done")
    made = studio.built(asked.json()["id"])
    job = {task["task_id"]: system.job(task["job_id"]) for task in made["task_list"]}
    fast = [job[task["id"]] for task in tasks if task["id"] != slow]
    assert len(fast) == 20
    assert job[slow]["started_at"] < min(each["finished_at"] for each in fast)
    assert max(each["finished_at"] for each in fast) < job[slow]["finished_at"]


def cvat(*boxes: tuple[int, str, float, float, float, float]) -> bytes:
    images = "".join(
        f'<image id="{frame}" name="{frame}.jpg" width="640" height="480"><box label="{label}" xtl="{left}"'
        f' ytl="{top}" xbr="{right}" ybr="{bottom}"><attribute name="pose">up</attribute></box></image>'
        for frame, label, left, top, right, bottom in boxes
    )
    return f'<?xml version="1.0"?><annotations><version>1.1</version>{images}</annotations>'.encode()


COCO = {
    "images": [{"id": 7, "file_name": "frame_000002.jpg", "width": 640, "height": 480}],
    "categories": [{"id": 3, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [20, 40, 60, 80]}],
}
YOLO = {"classes.txt": b"dog\ncat\n", "labels/frame_000002.txt": b"1 0.078125 0.16666667 0.09375 0.16666667\n"}


def test_annotations_that_were_made_elsewhere_come_in(studio: Studio, tmp_path: Path) -> None:
    system = studio.system
    project = studio.project("imports")
    file = system.upload(squares(tmp_path / "import.mp4", blue=180), "import.mp4")
    studio.upload(project, file=file, rate=10, frames_per_task=10, request_type=1, annotation_version=1)
    tasks = studio.tasks(project)
    files: tuple[tuple[str, bytes, dict[str, str]], ...] = (
        ("coco", json.dumps(COCO).encode(), {}),
        ("yolo", packed(YOLO), {}),
        ("cvat", cvat((1, "cat", 20, 40, 80, 120)), {"pose": "up"}),
    )
    for task, (form, content, attributes) in zip(tasks, files, strict=True):
        body = {"file": system.upload(content), "format": form}
        answer = system.http.post(f"/v1/tasks/{task['id']}/import", json=body)
        assert answer.status_code == 202, answer.text
        done = system.until_state(answer.json()["id"], "succeeded", "failed")
        assert done["state"] == "succeeded", done["error"]
        first, second = studio.frames(task["id"])[:2]
        [box] = second["boxes"]
        place = [round(box[side], 4) for side in ("x", "y", "width", "height")]
        assert (box["label"], place, box["attributes"]) == ("cat", [10, 20, 30, 40], attributes)
        assert box["human"]
        assert not first["boxes"][0]["human"]
    for form, content in (
        ("coco", b"[]"),
        ("yolo", b"PK"),
        ("cvat", b'<!DOCTYPE x [<!ENTITY a "b">]><annotations/>'),
        ("cvat", cvat((1, "cat", 20, 40, float("nan"), 120)).replace(b"1.jpg", b"") + b"<"),
        ("yolo", packed({"classes.txt": b"a", "1.txt": b"5 nan 0 0 1"})),
    ):
        body = {"file": system.upload(content), "format": form}
        job = system.http.post(f"/v1/tasks/{tasks[0]['id']}/import", json=body).json()["id"]
        done = system.until_state(job, "succeeded", "failed")
        assert (done["state"], done["error"]["code"]) == ("failed", "unreadable_annotations")
