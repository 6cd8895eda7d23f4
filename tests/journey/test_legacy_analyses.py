"""The old file store and analyses, as their README shows them: every line works unchanged."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pika
import pytest

from infra import claims, db
from tests.broker import publishing
from tests.system import System, until

HELLO = b"Hello, world\n"
HELLO_ID = "7b4758d4"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    """A gateway; who does the work comes when a test needs it, and goes when one needs to be without."""
    shared.start("gateway")
    return shared


@pytest.fixture
def working(system: System) -> System:
    """The same with those who do the work, and nothing left to do of earlier tests."""
    cancel_pending(system)
    system.start(*(name for name in ("relay", "analyzer") if name not in system.processes))
    return system


@pytest.fixture
def idle(system: System) -> System:
    """The same without those who do the work."""
    for name in {"relay", "analyzer"} & system.processes.keys():
        system.stop_one(name)
        del system.processes[name]
    return system


@pytest.fixture
def hello(system: System) -> str:
    """The file of the README."""
    return str(system.http.post("/file", files={"file": ("hello.txt", HELLO)}).json()["file_id"])


def cancel_pending(system: System) -> None:
    """Nobody is to do what earlier tests have left."""
    for left in system.http.get("/analysis", params={"state": "PENDING", "limit": "1000"}).json():
        system.http.delete(f"/analysis/{left['analysis_id']}")


def start(system: System, file_id: str, time: object, **fields: str) -> str:
    """Start a sleep; returns the analysis id."""
    answer = system.http.post("/analysis", data={"file_id": file_id, "analysis": "sleep", "time": str(time), **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["analysis_id"])


def finished(system: System, analysis_id: str) -> dict[str, Any]:
    """Poll as the README says, until it is no 202 any more."""

    def ready() -> httpx.Response | None:
        answer = system.http.get(f"/analysis/{analysis_id}")
        assert answer.status_code in {200, 202}, answer.text
        return answer if answer.status_code == 200 else None

    return dict(until(ready, "the analysis is over").json())


@pytest.mark.row("S1-01", "S1-07", "S1-10")
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_of_the_readme_work_unchanged(idle: System, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes(HELLO)
    settings = [
        f'header = "Authorization: Bearer {idle.token}"',
        f'connect-to = "127.0.0.1:5000:127.0.0.1:{idle.port}"',
        'write-out = "\\n%{http_code}"',
        "silent",
    ]
    (tmp_path / ".curlrc").write_text("\n".join(settings))

    def shell(line: str) -> tuple[int, Any]:
        environment = os.environ | {"CURL_HOME": str(tmp_path)}
        done = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, check=True)
        body, _, status = done.stdout.decode().rpartition("\n")
        return int(status), json.loads(body)

    status, sent = shell('curl -F "file=@hello.txt" http://127.0.0.1:5000/file')
    assert (status, sent["file_id"][:8]) == (200, HELLO_ID)
    status, asked = shell("curl -d file_id=7b4758d4 -d analysis=sleep -d time=10 http://127.0.0.1:5000/analysis")
    assert (status, asked["analysis_id"]) == (200, asked["task_id"])
    status, shown = shell(f"curl http://127.0.0.1:5000/analysis/{asked['analysis_id']}")
    assert (status, shown["state"], shown["progress"]) == (202, "PENDING", 0)


@pytest.mark.row("S1-07", "S1-08", "S1-26", "X-18")
def test_bad_requests_are_told_what_is_wrong(idle: System, hello: str) -> None:
    system = idle  # nothing that is listed moves on by itself
    good = {"file_id": hello, "analysis": "sleep", "time": "1"}
    before = system.http.get("/analysis").json()
    cases: list[tuple[dict[str, str], int, str]] = [
        ({"file_id": ""}, 400, "missing_file_id"),
        ({"analysis": ""}, 400, "missing_analysis"),
        ({"analysis": "video2"}, 400, "unknown_analysis"),
        ({"analysis": "/etc/passwd"}, 400, "unknown_analysis"),
        ({"file_id": "abcd1234"}, 404, "unknown_file"),
        ({"file_id": "%"}, 400, "invalid_file_id"),
        ({"file_id": "../../etc"}, 400, "invalid_file_id"),
        *(({"time": time}, 400, "invalid_time") for time in ("-1", "abc", "1e12", "1.5", "", "9" * 5000, "\0")),
        ({"model": "x"}, 400, "unknown_parameter"),
        ({"file": hello}, 400, "unknown_parameter"),
        ({"files": "x"}, 400, "unknown_parameter"),
    ]
    for change, status, code in cases:
        answer = system.http.post("/analysis", data=good | change)
        assert (answer.status_code, answer.json()["code"]) == (status, code), change
        assert answer.json()["success"] is False
        assert answer.json()["message"]
    unknown = system.http.post("/analysis", data=good | {"analysis": "x"}).json()
    assert unknown["analyses"] == ["image", "label", "label-image", "label_3d", "sleep", "triangulate", "video"]
    no_time = system.http.post("/analysis", data={"file_id": hello, "analysis": "sleep"})
    assert (no_time.status_code, no_time.json()["code"]) == (400, "missing_time")
    assert system.http.post("/analysis", content=b"time=1&time=2", headers=FORM).json()["code"] == "repeated_field"
    assert system.http.post("/analysis", content=b"x=1&" * 500, headers=FORM).status_code == 400
    assert system.http.post("/analysis", data=good, files={"f": b"x"}).status_code == 400
    odd: list[Any] = [[], {"file_id": [], "analysis": "sleep"}, {"file_id": {}, "analysis": []}, good | {"time": {}}]
    for body in odd:
        assert system.http.post("/analysis", json=body).status_code == 400, body
    assert system.http.get("/analysis").json() == before
    for sent in (
        {"data": good | {"analysis": "Sleep"}},
        {"json": good},
        {"files": {n: (None, v) for n, v in good.items()}},
    ):
        answer = system.http.post("/analysis", **sent)
        assert answer.status_code == 200, answer.text
        assert answer.headers["location"] == f"/analysis/{answer.json()['analysis_id']}"


@pytest.mark.row("S1-10")
def test_every_state_has_its_answer_and_none_tells_too_much(idle: System, hello: str) -> None:
    system = idle
    database = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    ids = [start(system, hello, 1) for _ in range(3)]

    def seen(analysis_id: str) -> tuple[int, str]:
        answer = system.http.get(f"/analysis/{analysis_id}")
        assert "Traceback" not in answer.text
        assert str(Path.cwd()) not in answer.text
        return answer.status_code, answer.json()["state"]

    assert seen(ids[0]) == (202, "PENDING")
    with database.begin() as connection:
        held = [claims.claim(connection, UUID(analysis_id), "test", 60) for analysis_id in ids[:2]]
    assert held[0] is not None
    assert held[1] is not None
    assert seen(ids[0]) == (202, "STARTED")
    with database.begin() as connection:
        claims.progress(connection, held[0], 40)
        claims.fail(connection, held[1], "bad_video", "The file is not a video.")
    database.dispose()
    assert system.http.get(f"/analysis/{ids[0]}").json()["progress"] == 40
    assert seen(ids[1]) == (200, "failed")
    assert system.http.get(f"/analysis/{ids[1]}").json()["code"] == "bad_video"
    assert system.http.delete(f"/analysis/{ids[2]}").status_code == 200
    assert seen(ids[2]) == (200, "cancelled")
    assert system.http.delete(f"/analysis/{ids[2]}").status_code == 200
    assert system.http.post(f"/analysis/{ids[0]}/cancel").status_code == 202
    assert system.http.post(f"/analysis/{ids[1]}/cancel").status_code == 409
    for unknown in ("32355caf-f322-4b05-b1c2-878d1e9be272", "42", "nope", "-" * 36, "%25%25%25%25", "0" * 33):
        answer = system.http.get(f"/analysis/{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_analysis_id"), unknown


@pytest.mark.row("S1-10")
def test_a_unique_prefix_of_an_analysis_is_enough(system: System, hello: str) -> None:
    first, second = start(system, hello, 1), start(system, hello, 1)
    assert system.http.get(f"/analysis/{first[:30]}").json()["analysis_id"] == first
    assert system.http.get(f"/analysis/{second.replace('-', '').upper()}").json()["analysis_id"] == second
    several = system.http.get(f"/analysis/{first[:4]}")
    assert (several.status_code, several.json()["code"]) == (409, "ambiguous_analysis_id")
    split = system.submit("split.video", {"file": hello, "rate": 1})
    assert system.http.get(f"/analysis/{split}").status_code == 404


@pytest.mark.row("S1-14")
def test_an_idempotency_key_gives_the_same_analysis(system: System) -> None:
    file = system.upload(b"analysed once")
    form, key = {"file_id": file, "analysis": "sleep", "time": "1"}, {"Idempotency-Key": "once"}
    first, again = (system.http.post("/analysis", data=form, headers=key) for _ in range(2))
    assert first.json() == again.json()
    other = system.http.post("/analysis", data=form | {"time": "2"}, headers=key)
    assert (other.status_code, other.json()["success"]) == (422, False)
    assert len(system.http.get("/analysis", params={"file_id": file}).json()) == 1


@pytest.mark.row("S1-21", "X-17")
def test_analyses_are_listed_in_pages_and_filtered(idle: System, hello: str) -> None:
    system = idle
    since, other = {"created_after": datetime.now(UTC).isoformat()}, system.upload(b"another file")
    made = [start(system, hello, n) for n in range(5)]
    last = start(system, other[:8], 5)
    system.http.delete(f"/analysis/{made[0]}")
    seen: list[dict[str, Any]] = []
    page = system.http.get("/analysis", params=since | {"limit": "4"})
    seen += page.json()
    start(system, hello, 6)
    page = system.http.get(page.links["next"]["url"])
    seen += page.json()
    assert "next" not in page.links
    assert [item["analysis_id"] for item in seen] == [last, *reversed(made)]
    assert {"task_id", "file_id", "file2_id", "analysis_name", "state", "created"} <= set(seen[0])

    def count(**query: str) -> int:
        return len(system.http.get("/analysis", params=since | query).json())

    assert (count(state="PENDING"), count(state="cancelled"), count(state="SUCCESS")) == (6, 1, 0)
    assert (count(file_id=other[:6]), count(file_id=hello), count(analysis="sleep"), count(analysis="x")) == (
        1,
        6,
        7,
        0,
    )
    assert (count(created_after="2100-01-01"), count(created_before="2100-01-01T00:00:00Z")) == (0, 7)
    for query in ({"state": "odd"}, {"cursor": "x"}, {"limit": "-1"}, {"file_id": "%"}, {"created_after": "x"}):
        assert system.http.get("/analysis", params=query).status_code == 400, query


@pytest.mark.row("S1-07")
def test_an_analysis_is_accepted_while_the_broker_is_away(idle: System, hello: str) -> None:
    system = idle
    cancel_pending(system)
    system.stop_one("gateway")
    system.start("gateway", REELMILL_AMQP_URL="amqp://nobody:nothing@127.0.0.1:1/none")
    analysis_id = start(system, hello, 0)
    assert system.http.get(f"/analysis/{analysis_id}").status_code == 202
    system.start("relay", "analyzer")
    assert finished(system, analysis_id)["state"] == "SUCCESS"
    system.stop_one("gateway")
    system.start("gateway")


@pytest.mark.row("S1-08", "S1-09", "S1-11", "S1-14", "S1-26")
def test_sleeps_on_one_file_keep_their_own_results_for_ever(working: System, hello: str) -> None:
    system = working
    slept = [(seconds, start(system, hello[:8], seconds)) for seconds in (2, 0, 1, 0, 1)]
    for seconds, analysis_id in slept:
        result = finished(system, analysis_id)
        assert (result["state"], result["sleep_time"], result["parameters"]) == ("SUCCESS", seconds, {"time": seconds})
        assert system.http.get(f"/file/{result['csv_file']}").text == f"sleep,{seconds}\n"
    for name in ("gateway", "relay", "analyzer"):
        system.kill(name)
    system.start("gateway", "relay", "analyzer")
    assert finished(system, slept[0][1])["sleep_time"] == 2


@pytest.mark.row("S1-06", "S1-22")
def test_a_long_sleep_holds_its_file_until_it_is_cancelled(working: System) -> None:
    system, hello = working, working.upload(b"slept on")
    long, short = start(system, hello, 600), start(system, hello, 0)
    until(lambda: system.http.get(f"/analysis/{long}").json()["state"] == "STARTED", "the long sleep runs")
    assert system.http.delete(f"/file/{hello}").status_code == 409
    assert system.http.post(f"/analysis/{long}/cancel").status_code == 202
    assert finished(system, long)["state"] == "cancelled"
    assert finished(system, short)["state"] == "SUCCESS"
    assert system.http.delete(f"/file/{hello}").status_code == 204
    assert system.http.get(f"/file/{hello}").status_code == 404


def test_a_job_by_amqp_whose_file_is_not_there_spoils_no_list(working: System) -> None:
    system = working
    until(lambda: "broker.connected" in system.log("analyzer"), "the analyzer has its queue")
    with publishing(system.environment["REELMILL_AMQP_URL"]) as channel:
        channel.basic_publish(
            "reelmill.jobs",
            "analyze.sleep",
            b'{"file": "feedfeedfeed", "time": 0}',
            pika.BasicProperties(message_id="no-such-file", delivery_mode=2),
        )

    def failed() -> list[dict[str, Any]]:
        answer = system.http.get("/analysis", params={"state": "failed"})
        assert answer.status_code == 200
        return [row for row in answer.json() if row["file_id"] is None]

    [row] = until(failed, "the job has failed")
    told = system.http.get(f"/analysis/{row['analysis_id']}")
    assert (told.status_code, told.json()["state"]) == (200, "failed")
