"""The old content processor, with the fields, numbers and codes of its README."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clips import barcode_clip
from tests.gallery import Studio, image, squares
from tests.system import System, local_client, until

UPLOAD, PROJECT = "5f0c3a2b9d8e7f6a5b4c3d2e", "60aa11bb22cc33dd44ee55ff"
PATH = "/api/processContent"


@pytest.fixture(scope="module")
def studio(shared: System) -> Studio:
    shared.start("gateway", "relay", "splitter", REELMILL_SLOTS="2")
    return Studio(shared)


@pytest.fixture(scope="module")
def file(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> str:
    clip = tmp_path_factory.mktemp("clip") / "Cam1-15-16-9.mp4"
    name = studio.http.post("/v1/files", params={"name": clip.name}, content=squares(clip)).json()["file_id"]
    return str(name)


@pytest.fixture
def stranger(studio: Studio) -> Iterator[httpx.Client]:
    with local_client(studio.system.url) as asking:
        yield asking


def form(file: str, **changes: Any) -> dict[str, Any]:
    """The form of the README; a change to None leaves a field out."""
    fields = {
        "upload_id": UPLOAD,
        "project_id": PROJECT,
        "frame_rate": "5",
        "content_path": file,
        "force_write": "0",
        "auto_anno_version": "0",
        "request_type": "0",
        "content_type": "1",
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def over(studio: Studio, upload: str) -> dict[str, Any]:
    """What is told of an upload once it is over."""

    def ended() -> dict[str, Any] | None:
        told = studio.get(PATH, upload_id=upload)
        return told if told["status"] else None

    return until(ended, f"upload {upload} is over")


@pytest.mark.row("S3-01", "S3-03", "S3-12", "S3-15")
def test_the_form_of_the_readme_works_with_a_token_in_auth_key(
    studio: Studio, stranger: httpx.Client, file: str
) -> None:
    for key in (None, "", "fixed-shared-key"):
        refused = stranger.post(PATH, data=form(file) | ({"auth_key": key} if key is not None else {}))
        assert (refused.status_code, refused.json()["success"]) == (401, False)
    answer = stranger.post(PATH, data=form(file, auth_key=studio.system.token))
    assert answer.status_code == 202, answer.text
    assert answer.json()["upload_id"] == UPLOAD
    assert answer.json()["status"] == 0
    told = over(studio, UPLOAD)
    assert (told["status"], told["progress"], told["taskCount"], told["errorMessage"]) == (1, 100, 1, None)
    assert told["finishedAt"] is not None
    [task] = studio.tasks(PROJECT)
    assert task["record"]["original_frames"] == list(range(0, 30, 2))
    assert task["record"]["skipFrameCount"] == 24 / 5
    assert (task["record"]["Originalframerate"], task["record"]["frameRate"]) == (10, 5)
    again = stranger.post(PATH, data=form(file, auth_key=studio.system.token, upload_id="0" * 24))
    assert (again.status_code, again.json()["code"]) == (409, "content_exists")
    as_json = studio.http.post(PATH, json=form(file, upload_id="1" * 24, force_write=1))
    assert as_json.status_code == 202
    assert over(studio, "1" * 24)["status"] == 1
    both = form(file, upload_id=UPLOAD, request_type="2", auto_anno_version="3", content_path=None)
    assert studio.http.post(PATH, data=both | {"upload_id": "1" * 24}).status_code == 202
    assert over(studio, "1" * 24)["status"] == 1
    assert {task["annotation_version"] for task in studio.tasks(PROJECT)} == {3}
    for name in ("gateway", "splitter", "relay"):
        assert studio.system.token not in studio.system.log(name)
        assert "fixed-shared-key" not in studio.system.log(name)


WRONG: list[tuple[str, Any]] = [
    *((name, None) for name in form("x")),
    *((name, "") for name in form("x")),
    *((name, "5.5") for name in ("frame_rate", "force_write", "auto_anno_version", "request_type", "content_type")),
    *((name, "-1") for name in ("frame_rate", "force_write", "auto_anno_version", "request_type", "content_type")),
    *((name, "9" * 30) for name in ("frame_rate", "force_write", "auto_anno_version", "request_type", "content_type")),
    ("frame_rate", "0"),
    ("frame_rate", "five"),
    ("content_type", "0"),
    ("upload_id", "zz"),
    ("project_id", "../../etc"),
    ("content_path", "../../etc/hosts"),
    ("content_path", "/etc/hosts"),
    ("auto_anno_version", "1"),
    ("detector", "nobody"),
]


@pytest.mark.row("S3-02", "S3-04", "S3-15", "S3-20")
def test_every_bad_field_is_named_and_nothing_is_written(studio: Studio, file: str) -> None:
    project = "77" * 12
    noted = "88" * 12
    studio.http.post("/v1/projects", json={"name": "noted", "id": noted})
    studio.http.post(f"/v1/projects/{noted}/uploads", json={"id": noted})
    for name, value in WRONG:
        wanted = form(file, project_id=project, upload_id="99" * 12)
        if name == "detector":
            wanted |= {"request_type": "1", "auto_anno_version": "1"}
        wanted = {k: v for k, v in (wanted | {name: value}).items() if v is not None}
        answer = studio.http.post(PATH, data=wanted)
        problem = answer.json()
        assert answer.status_code == (409 if name == "detector" else 400), (name, value, problem)
        assert problem["field"] == name
        assert name in problem["code"] or problem["code"] == "model_missing"
        assert problem["success"] is False
    unknown = studio.http.post(PATH, data=form("0" * 40, project_id=project, upload_id="99" * 12))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_file")
    assert studio.http.get(f"/v1/projects/{project}").status_code == 404
    assert studio.http.get(PATH, params={"upload_id": "99" * 12}).status_code == 404
    assert studio.http.post(PATH, data=form(file, project_id=noted, upload_id=noted, frame_rate="x")).is_error
    told = studio.get(PATH, upload_id=noted)
    assert (told["status"], told["errorMessage"]["error_code"]) == (2, "invalid_frame_rate")


@pytest.mark.row("S3-05", "S3-06", "S3-12")
def test_what_is_no_video_ends_with_status_2_and_a_code(studio: Studio, tmp_path: Path) -> None:
    clip = barcode_clip(tmp_path / "a.mp4", seconds=1).read_bytes()
    cases: tuple[tuple[bytes, dict[str, str], str], ...] = (
        (b"text, not video", {}, "unreadable_video"),
        (clip[: len(clip) // 3], {}, "unreadable_video"),
        (clip, {"frame_rate": "31"}, "rate_above_source"),
        (image(20, 20, (0, 0, 0)), {}, "unreadable_video"),
    )
    for n, (content, changes, code) in enumerate(cases):
        reference = studio.system.upload(content, "clip.mp4")
        upload = f"{n}a" * 12
        assert studio.http.post(PATH, data=form(reference, upload_id=upload, **changes)).status_code == 202
        told = over(studio, upload)
        assert (told["status"], told["errorMessage"]["error_code"], told["taskCount"]) == (2, code, 0)
        assert told["progress"] < 100


@pytest.mark.row("S3-47")
def test_a_dataset_is_edited_into_a_new_version(studio: Studio, tmp_path: Path) -> None:
    project = studio.project()
    file = studio.system.upload(squares(tmp_path / "edit.mp4", blue=120), "edit.mp4")
    studio.upload(project, file=file, rate=10)
    [task] = studio.tasks(project)
    studio.accept(task["id"], 12)
    before = studio.version("edits", projects=[project])
    studio.say(task["id"], 1, {"label": "cat", "x": 1, "y": 1, "width": 5, "height": 5})
    answer = studio.http.post("/api/editDataSet", data={"data_version_id": before["id"]})
    assert answer.status_code == 202
    after = studio.built(answer.json()["data_version_id"])
    assert (before["classes"], after["classes"], after["version"]) == ([], ["cat"], "1.0.1")
    for path in ("/api/editDataSet", "/api/createDataSet"):
        assert studio.http.post(path, data={}).json()["code"] == "missing_data_version_id"
        assert studio.http.post(path, data={"data_version_id": "1"}).status_code == 400
        assert studio.http.post(path, data={"data_version_id": task["id"]}).status_code == 404
