"""From accepted tasks to versioned datasets and their archives: over HTTP, on real servers."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import httpx
import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from infra import db, tokens
from infra.tokens import Role
from tests.gallery import HEIGHT, WIDTH, Studio, squares
from tests.labelled import client
from tests.system import System, local_client, served, until

LABELS = [
    {"label": "car"},
    {"label": "bus", "enabled": False},
    {"label": "person on foot", "attributes": {"pose": "up", "seen": True}},
]
CLASSES = ["car", "person on foot"]
#: What people say on frame 2 of each task: one beyond the edge, one that fits no label, one with attributes.
SAID: list[dict[str, Any]] = [
    {"label": "car", "x": WIDTH - 30.5, "y": -10, "width": 60, "height": 50},
    {"label": "person on foot", "x": 12.25, "y": 20, "width": 30, "height": 70, "attributes": {"pose": "down"}},
    {
        "label": "person on foot",
        "x": 100,
        "y": 50.75,
        "width": 20,
        "height": 60,
        "attributes": {"seen": True, "pose": "up"},
    },
]
#: The objects among them, as class, x, y, width and height.
MEANT = [(0, WIDTH - 30.5, 0.0, 30.5, 40.0), (1, 100.0, 50.75, 20.0, 60.0)]


@pytest.fixture(scope="module")
def studio(shared: System) -> Studio:
    shared.start("gateway", "relay", "splitter", REELMILL_SLOTS="2")
    return Studio(shared)


@pytest.fixture(scope="module")
def tasks(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Five accepted tasks of ten frames of two videos; what is said is on the second frame of each."""
    project = studio.project("street")
    folder = tmp_path_factory.mktemp("videos")
    for name, blue, frames in (("north", 40, 30), ("south", 90, 20)):
        file = studio.system.upload(squares(folder / f"{name}.mp4", frames, blue), f"{name}.mp4")
        assert studio.upload(project, file=file, rate=10, frames_per_task=10)["state"] == "succeeded"
    made = [task["id"] for task in studio.tasks(project)]
    nothing = studio.http.post("/v1/datasets/early/versions", json={"projects": [project]})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "no_eligible_tasks")
    for n, task in enumerate(made):
        studio.say(task, 2, *SAID)
        studio.accept(task, (6, 12)[n % 2])
    return made


@pytest.fixture(scope="module")
def version(studio: Studio, tasks: list[str]) -> dict[str, Any]:
    """A complete version with every format."""
    made = studio.version(
        "street",
        tasks=tasks,
        labels=LABELS,
        split={"percentages": {"training": 60, "validation": 20, "testing": 20}, "by_video": False},
        augmentations=[{"type": "flip_horizontal", "percent": 20}, {"type": "rotate_90", "percent": 100}],
        formats=["yolo", "coco", "voc"],
        seed=7,
    )
    assert (made["state"], made["progress"], made["is_error"]) == ("complete", 100, False)
    return made


def objects_of(text: bytes, width: int, height: int) -> list[tuple[float, float, float, float, float]]:
    """The objects of a YOLO text, in pixels."""
    found = []
    for line in text.decode().splitlines():
        number, x, y, across, down = (float(part) for part in line.split(" "))
        assert all(0 <= part <= 1 for part in (x, y, across, down))
        found.append((number, (x - across / 2) * width, (y - down / 2) * height, across * width, down * height))
    return found


def unpacked(folder: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def training_boxes(root: Path) -> dict[str, list[list[float]]]:
    """What a training run reads: pictures by `data.yaml`, the label beside each, shares of the picture's real size.

    The run does not stand in the folder: a `path` that is not absolute would be looked for elsewhere.
    """
    settings = yaml.safe_load((root / "data.yaml").read_text())
    assert settings.get("path") is None
    found = {}
    for split in ("train", "val", "test"):
        for picture in sorted((root / settings[split]).glob("*.jpg")):
            assert picture.name.startswith(("task-0-", "task-1-", "task-2-"))
            height, width = cv2.imread(str(picture)).shape[:2]  # type: ignore[union-attr]
            label = Path(str(picture).replace("/images/", "/labels/")).with_suffix(".txt")
            rows = [[float(part) for part in line.split()] for line in label.read_text().splitlines()]
            assert all(int(row[0]) in settings["names"] and all(0 <= part <= 1 for part in row[1:]) for row in rows)
            found[f"{split}/{picture.stem}"] = [*sorted(rows), [float(width), float(height), 0.0, 0.0, 0.0]]
    return found


def coco_boxes(root: Path) -> dict[str, list[list[float]]]:
    """The same from the COCO archive, by the field's own reader."""
    found = {}
    for split in ("train", "val", "test"):
        with redirect_stdout(StringIO()):
            read = COCO(root / "annotations" / f"instances_{split}.json")
        for image in read.loadImgs(read.getImgIds()):
            width, height = image["width"], image["height"]
            assert (root / "images" / split / image["file_name"]).exists()
            rows = []
            for each in read.loadAnns(read.getAnnIds(imgIds=image["id"])):
                x, y, across, down = each["bbox"]
                assert each["area"] == across * down
                number = each["category_id"] - 1
                shares = [(x + across / 2) / width, (y + down / 2) / height, across / width, down / height]
                rows.append([float(number), *shares])
            found[f"{split}/{Path(image['file_name']).stem}"] = [*sorted(rows), [float(width), float(height), 0, 0, 0]]
    return found


def stored(url: str) -> httpx.Response:
    """What the store itself answers."""
    with local_client("") as store:
        return store.get(url)


@pytest.mark.row("S3-22", "S3-24", "S3-25", "S3-26", "S3-27", "S3-36", "S3-37", "S3-39", "S3-48")
def test_every_archive_has_the_same_pictures_and_boxes(studio: Studio, version: dict[str, Any], tmp_path: Path) -> None:
    assert version["classes"] == CLASSES
    assert version["kind"] == "YOLO"
    assert version["unmatched"] == 5
    assert version["tasks"] == {"complete": 5, "failed": 0, "pending": 0}
    items = studio.items(version, limit=13)
    assert len(items) == version["image_count"]
    yolo, coco, voc = (studio.archive(version, name) for name in ("yolo", "coco", "voc"))
    settings = yaml.safe_load(yolo["data.yaml"])
    assert settings["names"] == dict(enumerate(CLASSES))
    assert yolo["classes.txt"].decode().splitlines() == CLASSES
    trained_on = training_boxes(unpacked(tmp_path / "yolo", yolo))
    annotated = coco_boxes(unpacked(tmp_path / "coco", coco))
    assert trained_on.keys() == annotated.keys()
    for name, found in trained_on.items():
        assert np.allclose(found, annotated[name], rtol=0, atol=1e-6), name
    pictures = 0
    boxes: Counter[int] = Counter()
    for split, folder in (("training", "train"), ("validation", "val"), ("testing", "test")):
        assert settings[folder] == f"images/{folder}"
        document = json.loads(coco[f"annotations/instances_{folder}.json"])
        names = voc[f"ImageSets/Main/{folder}.txt"].decode().split()
        assert [each["file_name"].removesuffix(".jpg") for each in document["images"]] == names
        assert len(names) == version["splits"][split]["images"]
        listed = yolo[f"{folder}.txt"].decode().split()
        assert [Path(each).stem for each in listed] == names
        assert json.loads(yolo["manifest.json"])["pictures"] == version["image_count"]
        for image, name in zip(document["images"], names, strict=True):
            data = yolo[f"images/{folder}/{name}.jpg"]
            assert data == coco[f"images/{folder}/{name}.jpg"] == voc[f"JPEGImages/{name}.jpg"]
            width, height = image["width"], image["height"]
            mine = objects_of(yolo[f"labels/{folder}/{name}.txt"], width, height)
            theirs = [
                (each["category_id"] - 1, *each["bbox"])
                for each in document["annotations"]
                if each["image_id"] == image["id"]
            ]
            corners = [
                [float(box.findtext(f"bndbox/{side}") or "nan") for side in ("xmin", "ymin", "xmax", "ymax")]
                for box in ElementTree.fromstring(voc[f"Annotations/{name}.xml"]).findall("object")
            ]
            assert np.allclose(mine, theirs, rtol=0, atol=1e-5 / 2) or mine == theirs == []
            assert np.allclose([[x, y, x + w, y + h] for _, x, y, w, h in theirs], corners, atol=1e-6) or not corners
            pictures += 1
            boxes.update(int(each[0]) for each in mine)
    assert pictures == len(items) == version["image_count"]
    assert boxes.total() == sum(share["objects"] for share in version["splits"].values())
    assert set(boxes) == {0, 1}
    sizes = [len(stored(item[url]).content) for item in items for url in ("image_url", "text_url")]
    assert (sum(sizes), len(sizes)) == (version["size"], version["file_count"])
    plain = [item for item in items if item["frame"] == 2 and not item["augmentation"]]
    assert len(plain) == 5
    for item in plain:
        text = studio.content(item["text"])
        assert np.allclose(objects_of(text, WIDTH, HEIGHT), MEANT, rtol=0, atol=1e-5)
        assert not any(line.endswith(" ") for line in text.decode().splitlines())
    empty = [item for item in items if item["frame"] == 1 and not item["augmentation"]]
    assert {studio.content(item["text"]) for item in empty} == {b""}
    small = cv2.imdecode(np.frombuffer(studio.content(plain[0]["thumbnail"]), np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert max(small.shape) == 250
    assert abs(small.shape[1] / small.shape[0] - WIDTH / HEIGHT) < 0.02


@pytest.mark.row("S3-28")
def test_augmented_pictures_show_what_their_labels_say_and_come_out_the_same_again(
    studio: Studio, version: dict[str, Any], tasks: list[str]
) -> None:
    items = studio.items(version, limit=1000)
    turned = [item for item in items if item["augmentation"] == "rotate_90"]
    flipped = [item for item in items if item["augmentation"] == "flip_horizontal"]
    training = version["splits"]["training"]["tasks"]
    assert (len(turned), len(flipped)) == (10 * training, 2 * training)
    assert {item["split"] for item in turned + flipped} == {"training"}
    for item in turned:
        assert (item["width"], item["height"]) == (HEIGHT, WIDTH)
        if item["frame"] == 2:
            boxes = [(o["class"], o["x"], o["y"], o["width"], o["height"]) for o in item["objects"]]
            assert np.allclose(boxes, [(n, HEIGHT - y - h, x, h, w) for n, x, y, w, h in MEANT])
    same = {(item["task_id"], item["frame"]): item for item in items if not item["augmentation"]}
    for item in flipped:
        before, after = (
            cv2.imdecode(np.frombuffer(studio.content(each["image"]), np.uint8), cv2.IMREAD_COLOR)
            for each in (same[item["task_id"], item["frame"]], item)
        )
        assert before is not None
        assert after is not None
        assert np.abs(before[:, ::-1].astype(int) - after).mean() < 3
    again = studio.version("street", base=version["version"])
    hashes = {(i["task_id"], i["frame"], i["augmentation"]): (i["image"], i["text"]) for i in items}
    assert {
        (i["task_id"], i["frame"], i["augmentation"]): (i["image"], i["text"]) for i in studio.items(again, limit=1000)
    } == hashes
    other = studio.version("street", base=version["version"], seed=8)
    assert {i["image"] for i in studio.items(other, limit=1000)} != {image for image, _ in hashes.values()}
    assert {i["image"] for i in studio.items(version, limit=1000)} == {image for image, _ in hashes.values()}


@pytest.mark.row("S3-32", "S3-31", "S3-38", "S3-40", "S3-51")
def test_a_version_is_split_anew_sampled_and_read(studio: Studio, tasks: list[str]) -> None:
    alone = {"tasks": tasks[:3], "build": False}  # one video, three splits
    torn = studio.http.post("/v1/datasets/alone/versions", json=alone).json()
    assert {share["tasks"] for share in torn["splits"].values()} == {1}
    assert len(torn["warnings"]) == 1
    made = studio.version("walks", tasks=tasks, split={"percentages": {"training": 100, "validation": 0, "testing": 0}})
    assert (made["kind"], made["warnings"]) == ("DEFAULT", [])
    assert made["classes"] == ["car", "person on foot"]
    here = f"/v1/datasets/walks/versions/{made['version']}"
    before = {(item["task_id"], item["frame"]): item["image"] for item in studio.items(made, limit=1000)}
    manual = {"training": tasks[:2], "validation": tasks[2:4], "testing": tasks[4:]}
    answer = studio.http.put(f"{here}/split", json={"manual": manual})
    assert answer.is_success, answer.text
    assert {split: share["images"] for split, share in answer.json()["splits"].items()} == {
        "training": 20,
        "validation": 20,
        "testing": 10,
    }
    assert answer.json()["archives"] == []
    items = studio.items(made, limit=7)
    assert {(item["task_id"], item["frame"]): item["image"] for item in items} == before
    assert {item["task_id"] for item in studio.items(made, split="testing")} == {tasks[4]}
    for wrong, status, code in (
        ({"training": [tasks[0], tasks[0]]}, 400, "invalid_parameter"),
        ({"training": tasks[:1]}, 400, "invalid_parameter"),
        ({}, 400, "invalid_parameter"),
        ({"training": [*tasks, "00000000-0000-7000-8000-000000000000"]}, 404, "unknown_task"),
    ):
        refused = studio.http.put(f"{here}/split", json={"manual": wrong})
        assert (refused.status_code, refused.json()["code"]) == (status, code), wrong
    packing = studio.http.post(f"{here}/archives", json={"format": "yolo", "sample": 3})
    assert packing.status_code == 202
    sample = studio.archive(studio.built(made["id"]), "yolo-sample")
    names = sorted(name for name in sample if name.endswith(".jpg"))
    assert len(names) == 9
    for name in names:
        assert name.startswith("dataset_walks_")
        assert name.removesuffix(".jpg") + ".txt" in sample
    latest = studio.get("/v1/datasets/walks/versions/latest")
    assert latest["version"] == made["version"]
    unbuilt = studio.http.post("/v1/datasets/walks/versions", json={"base": "latest", "build": False}).json()
    assert unbuilt["state"] == "created"
    assert studio.get("/v1/datasets/walks/versions/latest")["version"] == made["version"]
    assert studio.http.get("/v1/datasets/walks/versions/9.9.9").status_code == 404
    assert studio.http.get("/v1/datasets/nobody/versions/latest").status_code == 404
    short = studio.get(f"{here}/items", limit=1, ttl=1)["items"][0]["image_url"]
    until(lambda: stored(short).status_code == 403, "a link grows old")
    assert stored(studio.get(f"{here}/items", limit=1)["items"][0]["image_url"]).is_success


@pytest.mark.row("S3-22", "S3-33", "S3-34", "S3-45")
def test_versions_are_numbered_built_once_and_deleted_one_by_one(studio: Studio, tasks: list[str]) -> None:
    body = {"tasks": tasks[:1], "labels": [{"label": "car"}], "build": False, "formats": ["yolo"]}

    def made_anew(_: int) -> httpx.Response:
        return served(lambda: studio.http.post("/v1/datasets/many/versions", json=body))

    def build(version: str) -> httpx.Response:
        return served(lambda: studio.http.post("/api/createDataSet", data={"data_version_id": version}))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(made_anew, range(15)))
        made = sorted(answer.json()["version"] for answer in answers)
        assert made == ["1.0.0", *(f"1.0.{n}" for n in range(1, 10)), *(f"1.1.{n}" for n in range(5))]
        first, second = (next(a.json()["id"] for a in answers if a.json()["version"] == v) for v in ("1.0.0", "1.0.1"))
        builds = list(pool.map(build, [first] * 20))
    assert {answer.status_code for answer in builds} == {202}
    [page] = [studio.get("/v1/jobs", kind="dataset.task", limit=1000)["jobs"]]
    mine = [job["id"] for job in page if studio.system.job(job["id"])["params"]["version"] == first]
    assert len(mine) == 1
    view = studio.built(first)
    packed = studio.archive(view, "yolo")
    # A changed label is another version; the old one is as it was.
    edited = studio.version("many", base="1.0.0", labels=[{"label": "person on foot"}, {"label": "car"}])
    assert (edited["version"], edited["classes"]) == ("1.1.5", ["person on foot", "car"])
    assert studio.archive(studio.get(f"/v1/dataset-versions/{first}"), "yolo") == packed
    assert studio.http.post(f"/v1/dataset-versions/{second}/build").status_code == 202
    studio.built(second)
    image = studio.items(view)[0]["image"]
    assert studio.http.delete("/v1/datasets/many/versions/1.0.0").status_code == 204
    assert studio.http.get(f"/v1/dataset-versions/{first}").status_code == 404
    assert studio.archive(studio.get(f"/v1/dataset-versions/{second}"), "yolo")
    assert studio.content(image)
    for version in [each["version"] for each in studio.get("/v1/datasets/many/versions", limit=100)["versions"]]:
        assert studio.http.delete(f"/v1/datasets/many/versions/{version}").status_code == 204
    assert studio.http.get("/v1/datasets/many").status_code == 404


@pytest.mark.row("S3-35")
def test_only_accepted_and_checked_tasks_are_fit(studio: Studio, tasks: list[str]) -> None:
    for status in (0, 1, 5, 7, 11, 13):
        studio.accept(tasks[0], status)
        answer = studio.http.post("/v1/datasets/unfit/versions", json={"tasks": tasks[:1], "build": False})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_eligible_tasks")
        assert answer.json()["tasks"] == tasks[:1]
    studio.accept(tasks[0], 12)
    assert studio.http.post("/v1/datasets/unfit/versions", json={"tasks": tasks[:1], "build": False}).is_success


@pytest.mark.row("S3-29", "S3-49", "S3-48", "S3-30")
@pytest.mark.parametrize(
    "wrong",
    [
        {"augmentations": [{"type": "rotate", "range": [-400, 10]}]},
        {"augmentations": [{"type": "rotate", "range": [10, -10]}]},
        {"augmentations": [{"type": "flip_vertical", "range": [0, 1]}]},
        {"augmentations": [{"type": "__import__('os')"}]},
        {"augmentations": [{"type": "rotate", "level": "bounding_box"}]},
        {"formats": ["tfrecord"]},
        {"split": {"percentages": {"training": 60, "validation": 20, "testing": 10}}},
    ],
)
def test_what_makes_no_sense_is_refused(studio: Studio, tasks: list[str], wrong: dict[str, Any]) -> None:
    answer = studio.http.post("/v1/datasets/refused/versions", json={"tasks": tasks} | wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert studio.http.get("/v1/datasets/refused").status_code == 404


@pytest.mark.row("S3-01", "S3-22")
def test_a_request_that_comes_again_makes_nothing_new_and_a_full_token_makes_nothing(
    studio: Studio, tasks: list[str]
) -> None:
    project = studio.get(f"/v1/tasks/{tasks[0]}")["project_id"]
    repeated: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/v1/datasets/again/versions", {"tasks": tasks[:1], "build": False}),
        (f"/v1/projects/{project}/uploads", {}),
    )

    def again(path: str, body: dict[str, Any], headers: dict[str, str], _: int) -> httpx.Response:
        return served(lambda: studio.http.post(path, json=body, headers=headers))

    for path, body in repeated:
        headers = {"Idempotency-Key": f"once {path}"}
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(partial(again, path, body, headers), range(4)))
        assert {answer.status_code for answer in answers} <= {201, 202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        other = studio.http.post(path, json=body | {"seed": 99}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert [each["version"] for each in studio.get("/v1/datasets/again/versions")["versions"]] == ["1.0.0"]
    engine = db.connect(studio.system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        secret = tokens.create(connection, "full", [Role.PRODUCER], live_jobs=1)
    engine.dispose()
    with client(studio.system, secret) as full:
        later = {"kind": "probe.echo", "params": {"text": "x"}, "run_at": "2100-01-01T00:00:00Z"}
        assert full.post("/v1/jobs", json=later).status_code == 202
        file = studio.system.upload(b"never looked at")
        refusals: tuple[tuple[str, dict[str, Any]], ...] = (
            ("/v1/datasets/full/versions", {"tasks": tasks[:1]}),
            ("/v1/datasets/again/versions/1.0.0/build", {}),
            ("/v1/datasets/again/versions/1.0.0/archives", {"format": "coco"}),
            (f"/v1/projects/{project}/uploads", {"file": file, "rate": 1}),
        )
        for path, body in refusals:
            refused = full.post(path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded"), path
    assert studio.http.get("/v1/datasets/full").status_code == 404
