"""Exports from the feed to the archive, through the front door: rows of the exporter, and of what feeds it."""

import base64
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra import db, tokens
from infra.cli.exits import Exit
from infra.tokens import Role
from tests.journey.test_cli import reelmill
from tests.labelled import WORDS, Annotations, Archive, client
from tests.system import System, served

Callers = Callable[[str], httpx.Client]

LOADER = Path(__file__).with_name("load_archive.py")
LOCK = Path(__file__).parents[2] / "requirements.lock"
MEMBERS = [
    "machine_labeled_data_{}.json",
    "human_labeled_data.json",
    "pending_votes.json",
    "sample_timestamps.json",
    "clf.p",
    "vectorizer.p",
    "model.json",
    "MODEL_CARD.md",
    "manifest.json",
]


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay", "exporter")
    return shared


def token(system: System, name: str, *roles: Role, expires_at: datetime | None = None) -> str:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    with engine.begin() as connection:
        secret = tokens.create(connection, name, roles or [Role.PRODUCER], expires_at)
    engine.dispose()
    return secret


def members(number: int) -> list[str]:
    return [name.format(number) for name in MEMBERS]


@pytest.fixture
def callers(system: System) -> Iterator[Callers]:
    """Others at the front door, by their tokens."""
    with ExitStack() as opened:
        yield lambda token: opened.enter_context(client(system, token))


@pytest.fixture(scope="module")
def texts(system: System) -> Annotations:
    """Ten texts: two with a label, one with a vote too few, seven that nobody has seen."""
    project = Annotations(system, "texts", labels=["good", "bad"], min_votes=2)
    known = {"data": {"0": "so good", "1": "so bad"}, "label": {"0": "good", "1": "bad"}}
    project.post("datapoints", {"data": [f"text {n} {'good' if n % 2 else 'bad'}" for n in range(8)], "init": known})
    first = project.http.get("/api/texts/text", params={"project": "texts"}).json()
    for person in ("ann@example.com", "bob@example.com"):
        project.post("votes", {"datapoint": first["text_id"], "label": "good", "annotator": person})
    second = project.http.get("/api/texts/text", params={"project": "texts"}).json()
    project.post("votes", {"datapoint": second["text_id"], "label": "bad", "annotator": "ann@example.com"})
    stamp = {"datapoint": first["text_id"], "start_time": "2030-01-01T00:00:00Z", "annotator": "ann@example.com"}
    project.post("timestamps", stamp | {"end_time": "2030-01-01T00:00:01.5Z"})
    project.post("timestamps", stamp)
    return project


@pytest.mark.row("S4-04", "S4-05", "S4-06", "S4-07", "S4-08", "S4-12", "S4-21")
def test_an_archive_holds_what_people_said_and_what_the_model_says(texts: Annotations) -> None:
    number = texts.classifier()
    archive = texts.export(number)
    assert archive.names == members(number)
    told = archive.manifest()
    assert told["rows"] == {"machine": 6, "human": 3, "pending": 1, "timestamps": 2}
    machine = archive.table(f"machine_labeled_data_{number}.json")
    assert list(machine) == ["text_id", "text_data", "label", "confidence"]
    assert machine["label"] == ["good" if "good" in text else "bad" for text in machine["text_data"]]
    assert machine["confidence"] == pytest.approx([0.8807970779778823] * 6)
    human = archive.table("human_labeled_data.json")
    assert dict(zip(human["text_data"], human["label"], strict=True)) == {
        "so good": "good",
        "so bad": "bad",
        "text 0 bad": "good",
    }
    voted = human["text_data"].index("text 0 bad")
    assert human["labels"][voted] == ["good", "good"]
    pending = archive.table("pending_votes.json")
    assert (pending["text_data"], pending["labels"]) == (["text 1 good"], [["bad"]])
    assert not set(pending["text_id"]) & set(machine["text_id"])
    stamps = archive.table("sample_timestamps.json")
    assert stamps["start_time"] == [1893456000000, 1893456000000]
    assert stamps["end_time"] == [1893456001500, None]
    # The same person has the same pseudonym everywhere, and no name anywhere.
    assert human["users"][voted][0] == pending["users"][0][0] == stamps["user_id"][0] != human["users"][voted][1]
    assert not any(b"@" in archive.read(name) for name in archive.names if name.endswith((".json", ".md")))
    named = texts.export(number, identities=True)
    assert named.table("sample_timestamps.json")["user_id"] == ["ann@example.com"] * 2


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fresh environment with pandas and scikit-learn, as the lock has them, and nothing else."""
    folder = tmp_path_factory.mktemp("plain") / "environment"
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not there")
    python = str(folder / "bin" / "python")
    made = subprocess.run([uv, "venv", "--python", sys.executable, folder], capture_output=True, check=False)
    wanted = ["pandas", "scikit-learn", "--constraints", str(LOCK)]
    installed = subprocess.run(
        [uv, "pip", "install", "--python", python, *wanted], capture_output=True, text=True, check=False
    )
    if made.returncode or installed.returncode:
        pytest.skip(f"an environment could not be made: {installed.stderr[-300:]}")
    return python


@pytest.mark.row("S4-08", "S4-09")
def test_pandas_and_scikit_learn_load_it_and_nothing_of_ours(texts: Annotations, tmp_path: Path, plain: str) -> None:
    number = texts.classifier()
    archive = texts.export(number, formats=["parquet", "ndjson", "json"])
    path = tmp_path / "data.zip"
    path.write_bytes(archive.data)
    for python, more in ((plain, []), (sys.executable, ["parquet"])):
        command = [python, "-I", str(LOADER), str(path), str(number), *more]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told == {"rows": 6, "same_labels": True, "human": 3, "stamps": 2, "formats_agree": True}


@pytest.mark.row("S4-10", "S4-11", "S4-17")
def test_nothing_to_export_is_an_archive_all_the_same(system: System) -> None:
    project = Annotations(system, "empty", labels=["good", "bad"])
    number = project.classifier()
    share = project.http.get("/api/monitor/label", params={"project": "empty"}).json()
    assert share == {"labelShare": 0, "datapoints": 0, "labelled": 0, "pending": 0}
    archive = project.export(number)
    assert archive.names == members(number)
    assert archive.manifest()["rows"] == {"machine": 0, "human": 0, "pending": 0, "timestamps": 0}
    assert archive.table(f"machine_labeled_data_{number}.json") == {
        "text_id": [],
        "text_data": [],
        "label": [],
        "confidence": [],
    }
    for n in range(4):
        project.post("datapoints", {"data": [f"text {n}"]})
    text_ids = []
    for labelled in (1, 2, 3, 4):
        text = project.http.get("/api/texts/text", params={"project": "empty"}).json()
        answer = project.http.post("/api/texts/text", json={"text_id": text["text_id"], "label": "good"})
        assert answer.status_code == 201
        text_ids.append(text["text_id"])
        share = project.http.get("/api/monitor/label", params={"project": "empty"}).json()
        assert share == {"labelShare": labelled / 4, "datapoints": 4, "labelled": labelled, "pending": 0}
    assert project.http.get("/api/texts/text", params={"project": "empty"}).status_code == 204
    full = project.export(number)
    assert full.names == members(number)
    assert full.table(f"machine_labeled_data_{number}.json")["text_id"] == []
    assert full.table("human_labeled_data.json")["text_id"] == text_ids


@pytest.mark.row("S4-04", "S4-08")
def test_numbers_come_back_bit_by_bit(system: System) -> None:
    features = ["x", "y", "z"]
    rows = [[0.1 * n, 1 / (n + 1), -float(n) if n % 3 else 1e-300] for n in range(10_000)]
    project = Annotations(system, "numbers", features=features, labels=["a", "b", "c"])
    assert project.post("datapoints", {"data": rows}) == {"added": 10_000, "known": 0}
    weights = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    model = {"classes": ["a", "b", "c"], "coefficients": weights, "intercepts": [0.0, 500.0, 900.0]}
    number = project.classifier(model)
    archive = project.export(number)
    machine = archive.table(f"machine_labeled_data_{number}.json")
    assert [list(row) for row in zip(*(machine[name] for name in features), strict=True)] == rows
    scores = [[x, y + 500.0, z + 900.0] for x, y, z in rows]
    assert machine["label"] == ["abc"[max(range(3), key=score.__getitem__)] for score in scores]


@pytest.mark.row("S4-18")
def test_an_import_counts_once(system: System) -> None:
    project = Annotations(system, "imports", labels=["a"])
    body: dict[str, Any] = {
        "data": {"0": "one", "1": "two", "2": "one"},
        "labels": {"0": "b"},
        "init": {"data": ["three"], "label": ["c"]},
    }
    assert project.post("datapoints", body) == {"added": 3, "known": 0}
    assert project.post("datapoints", body) == {"added": 0, "known": 3}
    assert project.post("datapoints", {"data": ["one"], "keys": ["mine"]}) == {"added": 1, "known": 0}
    assert project.post("datapoints", {"data": ["other"], "keys": ["mine"]}) == {"added": 0, "known": 1}
    view = project.view()
    assert (view["datapoints"], view["labelled"], view["labels"]) == (4, 1, ["a", "b", "c"])
    for bad, code in (
        ({"data": [[1.0]]}, "wrong_content"),
        ({"data": ["x"], "keys": ["a", "b"]}, "uneven_columns"),
        ({"data": [1]}, "invalid_parameter"),
        ({"data": ["a\0b"]}, "invalid_parameter"),
    ):
        answer = project.http.post("/v1/labelling-projects/imports/datapoints", json=bad)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.row("S4-19")
def test_everybody_has_one_vote(system: System) -> None:
    project = Annotations(system, "votes", labels=["a", "b"], min_votes=12)
    project.post("datapoints", {"data": ["text"]})
    text = project.http.get("/api/texts/text", params={"project": "votes"}).json()["text_id"]

    def vote(n: int) -> int:
        body = {"datapoint": text, "label": "a" if n % 3 else "b", "annotator": f"person {n % 12}"}
        return served(lambda: system.http.post("/v1/labelling-projects/votes/votes", json=body)).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(vote, range(24)))
    assert (codes.count(201), codes.count(409)) == (12, 12)
    assert (project.view()["labelled"], project.view()["pending"]) == (1, 0)
    unknown = {"datapoint": text, "label": "none", "annotator": "x"}
    assert system.http.post("/v1/labelling-projects/votes/votes", json=unknown).json()["code"] == "unknown_label"
    gone = {"datapoint": 2**40, "label": "a"}
    assert system.http.post("/v1/labelling-projects/votes/votes", json=gone).status_code == 404


@pytest.mark.row("S4-20")
@pytest.mark.parametrize("features", [[], ["x", "y"]])
def test_a_classifier_is_trained_on_what_people_said(system: System, features: list[str]) -> None:
    project = Annotations(system, f"training-{len(features)}", features=features, labels=["up", "down"])
    label = ["up" if n % 2 else "down" for n in range(40)]
    data: list[Any] = [f"it goes {word} {n}" for n, word in enumerate(label)]
    if features:
        data = [[float(n), 5.0 if word == "up" else -5.0] for n, word in enumerate(label)]
    project.post("datapoints", {"init": {"data": data, "label": label}, "data": data[:0]})
    more: list[Any] = [[3.5, 4.0], [2.5, -4.0]] if features else ["all up now", "and down again"]
    project.post("datapoints", {"data": more})
    job = system.until_state(project.post("train", {})["id"], "succeeded")
    assert job["result"]["precision"] == 1.0
    number = job["result"]["classifier"]
    [listed] = project.http.get("/v1/classifiers", params={"project": project.name}).json()["classifiers"]
    assert (listed["id"], listed["precision"], listed["vectorizer"]) == (number, 1.0, not features)
    machine = project.export(number).table(f"machine_labeled_data_{number}.json")
    assert machine["label"] == ["up", "down"]


def test_there_is_nothing_to_train_on(system: System) -> None:
    project = Annotations(system, "untrained", labels=["a", "b"])
    project.post("datapoints", {"init": {"data": ["one", "two"], "label": ["a", "a"]}, "data": ["three"]})
    job = system.until_state(project.post("train", {})["id"], "failed")
    assert job["error"]["code"] == "too_few_labels"


@pytest.mark.row("S4-02")
def test_what_can_never_work_is_refused_at_the_door(system: System) -> None:
    project = Annotations(system, "refusals", labels=["a", "b"])
    plain = project.classifier({key: value for key, value in WORDS.items() if key != "vectorizer"})
    for bad, status in (("undefined", 400), ("", 400), ("-1", 400), ("7.5", 400), ("99999999", 404), (plain, 409)):
        answer = system.http.post("/api/monitor/download", json={"clfId": bad})
        assert (answer.status_code, answer.json()["success"]) == (status, False), answer.text
    assert system.http.post("/api/monitor/download", json={}).status_code == 400
    assert system.http.post("/v1/classifiers/abc/exports").status_code == 400
    for wrong in (
        {"classes": ["a"], "coefficients": [[1.0]], "intercepts": [0.0]},
        {"classes": ["a", "b"], "coefficients": [[1.0], [1.0]], "intercepts": [0.0]},
        {**WORDS, "vectorizer": {"vocabulary": ["only"]}},
        {"pickle": base64.b64encode(b"cos\nsystem\n(S'id'\ntR.").decode()},
    ):
        answer = system.http.post("/v1/labelling-projects/refusals/classifiers", json={"model": wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


@pytest.mark.row("S4-22")
def test_a_project_is_for_its_members(system: System, texts: Annotations, callers: Callers) -> None:
    number = texts.classifier()
    view = texts.until_ended(texts.request(number)["export_id"])
    stranger = callers(token(system, "stranger"))
    job = f"/v1/jobs/{view['export_id']}"
    closed = [
        "/v1/labelling-projects/texts",
        f"/v1/classifiers/{number}",
        f"/v1/classifiers/{number}/exports",
        view["links"]["self"],
        view["links"]["content"],
        f"/api/monitor/download?clfId={number}",
        f"{job}/outputs",
        f"{job}/outputs/data-{number}.zip",
    ]
    assert {stranger.get(path).status_code for path in closed} == {403}
    archive = texts.http.get(view["links"]["content"]).content
    assert stranger.get(f"/v1/files/{hashlib.sha256(archive).hexdigest()}/content").status_code == 404
    assert stranger.get("/api/monitor/classifiers").json()["clfData"] == []
    assert stranger.get("/api/monitor/label").json()["labelShare"] == 0
    # The door of all jobs leads past none of it.
    asked = {"kind": "export.labels", "params": {"classifier": number}}
    for door in (
        stranger.post("/v1/jobs", json=asked),
        stranger.put("/v1/schedules/spy", json=asked | {"cron": "* * * * *"}),
    ):
        assert (door.status_code, door.json()["code"]) == (403, "guarded_kind")
    lines = stranger.post("/v1/jobs", content=json.dumps(asked), headers={"Content-Type": "application/x-ndjson"})
    assert lines.json()["error"]["code"] == "guarded_kind"
    member = callers(token(system, "member"))
    texts.http.put("/v1/labelling-projects/texts", json={"members": ["member"], "min_votes": 2}).raise_for_status()
    assert {member.get(path, follow_redirects=False).status_code for path in closed} == {200, 307}
    assert member.post(f"/v1/classifiers/{number}/exports", json={"identities": True}).status_code == 403
    expired = callers(token(system, "expired", Role.ADMIN, expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert {expired.get(path).status_code for path in closed} == {401}


@pytest.mark.row("S4-14", "S4-15", "S4-16")
def test_an_archive_is_asked_for_again_and_fetched_in_parts(
    system: System, texts: Annotations, callers: Callers
) -> None:
    number = texts.classifier()
    by = {"clfId": number}
    none = texts.http.get("/api/monitor/download", params=by)
    assert (none.status_code, none.json()["code"]) == (404, "no_export")
    assert download_number(texts, number) == 0
    system.signal("exporter", signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            asked = list(pool.map(lambda _: texts.http.post("/api/monitor/download", json=by), range(4)))
        assert {(answer.status_code, answer.json()["status"]) for answer in asked} == {(202, 1)}
        assert len({answer.json()["export_id"] for answer in asked}) == 1
        assert texts.http.get("/api/monitor/download", params=by).status_code == 202
        assert download_number(texts, number) == 1
    finally:
        system.signal("exporter", signal.SIGCONT)
    first = texts.until_ended(asked[0].json()["export_id"])
    assert download_number(texts, number) == 2
    whole = texts.http.get("/api/monitor/download", params=by)
    assert whole.headers["content-disposition"].startswith(f'attachment; filename="data-{number}.zip"')
    assert whole.headers["content-type"] == "application/zip"
    etag = whole.headers["etag"]
    part = texts.http.get("/api/monitor/download", params=by, headers={"Range": "bytes=10-19", "If-Range": etag})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    again = texts.http.get("/api/monitor/download", params=by, headers={"If-None-Match": etag})
    assert again.status_code == 304
    moved = texts.http.get(first["links"]["content"], params={"redirect": "1"}, follow_redirects=False)
    assert moved.status_code == 307
    direct = callers("nobody").get(moved.headers["location"], headers={"Authorization": ""})
    assert direct.content == whole.content
    assert f"data-{number}.zip" in direct.headers["content-disposition"]
    second = texts.until_ended(texts.request(number)["export_id"])
    assert second["export_id"] != first["export_id"]
    assert second["result"]["snapshot_at"] > first["result"]["snapshot_at"]
    assert texts.fetch(second).names == texts.fetch(first).names
    versions = texts.http.get(f"/v1/classifiers/{number}/exports", params={"limit": 1}).json()
    assert [each["export_id"] for each in versions["exports"]] == [second["export_id"]]
    older = texts.http.get(f"/v1/classifiers/{number}/exports", params={"cursor": versions["next"]}).json()
    assert [each["export_id"] for each in older["exports"]] == [first["export_id"]]


def download_number(texts: Annotations, number: int) -> int:
    told = texts.http.get("/api/monitor/classifiers", params={"limit": 1000}).json()["clfData"]
    [one] = [each for each in told if each["clfId"] == number]
    assert set(one) == {"clfId", "precision", "timestamp", "download", "export_id"}
    return int(one["download"])


def test_the_command_line_saves_an_archive(system: System, texts: Annotations, tmp_path: Path) -> None:
    number = texts.classifier()
    done = reelmill(system, "export", str(number), "--format", "ndjson", "--to", str(tmp_path / "out"), "--json")
    assert done.returncode == Exit.OK, done.stderr
    told = json.loads(done.stdout)
    archive = Archive(Path(told["path"]).read_bytes())
    assert archive.manifest()["rows"] == {"machine": 6, "human": 3, "pending": 1, "timestamps": 2}
    assert f"machine_labeled_data_{number}.ndjson" in archive.names
    assert reelmill(system, "export", "99999", "--to", str(tmp_path)).returncode == Exit.NOT_FOUND
