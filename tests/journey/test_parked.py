"""Parked messages through the front door: found, understood, mended, sent again, let go."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pika
import pytest

from infra.cli.exits import Exit
from tests.broker import publishing
from tests.journey.test_cli import reelmill
from tests.system import System, until

KIND = "analyze.sleep"


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay", "analyzer")
    until(lambda: "broker.connected" in shared.log("analyzer"), "the analyzer has its queue")
    until(lambda: shared.http.get("/readyz").json()["checks"]["broker"], "the gateway reaches the broker")
    return shared


@pytest.fixture(scope="module")
def file(system: System) -> str:
    return system.upload(b"hello", "hello.txt")


@pytest.fixture
def channel(system: System) -> Iterator[Any]:
    with publishing(system.environment["REELMILL_AMQP_URL"]) as channel:
        yield channel


def publish(channel: Any, body: bytes, key: str = KIND, **properties: Any) -> None:
    channel.basic_publish("reelmill.jobs", key, body, pika.BasicProperties(delivery_mode=2, **properties))


def listed(system: System, **query: Any) -> list[dict[str, Any]]:
    answer = system.http.get("/v1/parked", params={"open": 1, **query})
    assert answer.is_success, answer.text
    return list(answer.json()["messages"])


def parked(system: System, message_id: str) -> dict[str, Any]:
    """The open message with this id, once it is recorded."""

    def found() -> dict[str, Any] | None:
        return next((m for m in listed(system) if m["message_id"] == message_id), None)

    return until(found, f"{message_id} is recorded")


def succeeded_on(system: System, file: str) -> list[dict[str, Any]]:
    done = system.http.get("/v1/jobs", params={"state": "succeeded"}).json()["jobs"]
    return [job for job in map(system.job, (each["id"] for each in done)) if job["params"]["file"] == file]


def act(system: System, message: dict[str, Any], action: str, **body: Any) -> httpx.Response:
    return system.http.post(f"/v1/parked/{message['id']}/{action}", json=body or None)


@pytest.mark.row("X-06")
def test_a_message_is_mended_and_sent_again(system: System, channel: Any) -> None:
    file = system.upload(b"mended")
    headers = {"shade": "blue", "reelmill-reason": "mine", "x-mine": "?"}
    publish(channel, b'{"time": "soon"}', message_id="mend me", correlation_id="c", headers=headers)
    message = parked(system, "mend me")
    assert (message["code"], message["queue"]) == ("invalid_parameter", "reelmill.analyzer")
    view = system.http.get(f"/v1/parked/{message['id']}").json()
    assert (view["body"], view["encoding"], view["size"]) == ('{"time": "soon"}', "utf-8", 16)
    assert view["headers"]["shade"] == "blue"
    assert act(system, message, "replay").is_success  # unmended, it comes back
    again = parked(system, "mend me")
    assert (again["id"] > message["id"], again["fingerprint"]) == (True, message["fingerprint"])
    done = act(system, again, "replay", body=orjson.dumps({"file": file, "time": 0}).decode())
    assert (done.status_code, done.json()["resolution"], done.json()["resolved_by"]) == (200, "replayed", "test")
    [job] = until(lambda: succeeded_on(system, file), "the job is done")
    assert job["submitted_by"] == "amqp:producer"
    twice = act(system, again, "replay")
    assert (twice.status_code, twice.json()["code"]) == (409, "already_resolved")


@pytest.mark.row("X-06")
def test_an_unroutable_message_is_kept_until_it_has_a_way(system: System, channel: Any) -> None:
    file = system.upload(b"on its way")
    publish(channel, orjson.dumps({"file": file, "time": 0}), "analyse.sleep", message_id="typo")
    message = parked(system, "typo")
    assert (message["code"], message["queue"]) == ("unroutable", "reelmill.unroutable")
    refused = act(system, message, "replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "unroutable")
    assert parked(system, "typo")["id"] == message["id"]
    assert succeeded_on(system, file) == []
    assert act(system, message, "replay", routing_key=KIND).json()["resolution"] == "replayed"
    assert len(until(lambda: succeeded_on(system, file), "the job is done")) == 1


def test_of_many_who_replay_one_message_one_sends_it(system: System, channel: Any) -> None:
    publish(channel, b"no json", message_id="wanted by all")
    message = parked(system, "wanted by all")
    answers: list[int] = []

    def ask() -> None:
        # Who waits for the one who sends for too long is told to come again.
        while (answer := act(system, message, "replay")).status_code == 503:
            assert answer.json()["code"] == "busy", answer.text
        answers.append(answer.status_code)

    crowd = [threading.Thread(target=ask) for _ in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert sorted(answers) == [200] + [409] * 7
    again = parked(system, "wanted by all")
    assert act(system, again, "discard").json()["resolution"] == "discarded"
    found = system.http.get("/v1/parked", params={"limit": 1000}).json()["messages"]
    assert sum(m["message_id"] == "wanted by all" for m in found) == 2


def test_messages_are_found_by_their_cause_and_dealt_with_together(system: System, channel: Any, file: str) -> None:
    for number in range(12):
        publish(channel, b'{"n": 1%d' % 10**number, message_id=f"group {number}")
    until(lambda: len([m for m in listed(system) if m["message_id"].startswith("group")]) == 12, "all are recorded")
    groups = system.http.get("/v1/parked/groups").json()["groups"]
    fingerprint = parked(system, "group 0")["fingerprint"]
    [group] = [g for g in groups if g["fingerprint"] == fingerprint]
    assert (group["code"], group["count"], group["more"]) == ("undecodable", 12, False)
    chosen = {"fingerprint": group["fingerprint"], "limit": 5}
    dry = system.http.post("/v1/parked/discard", json=chosen | {"dry_run": True}).json()
    assert (dry["counts"], dry["more"]) == ({"selected": 5}, True)
    done = system.http.post("/v1/parked/discard", json=chosen).json()
    assert (done["counts"], done["more"]) == ({"discarded": 5}, True)
    assert [item["id"] for item in done["items"]] == [item["id"] for item in dry["items"]]
    rest = [m["id"] for m in listed(system, fingerprint=group["fingerprint"])]
    assert len(rest) == 7
    ids = [*rest, dry["items"][0]["id"], 10**12]
    replayed = system.http.post("/v1/parked/replay", json={"ids": ids}).json()
    assert replayed["counts"] == {"replayed": 7, "already_resolved": 1, "unknown": 1}
    until(lambda: len(listed(system, fingerprint=group["fingerprint"])) == 7, "they come back: nobody has mended them")
    pages = [system.http.get("/v1/parked", params={"open": 1, "limit": 3}).json()]
    while pages[-1]["next"]:
        query = {"open": 1, "limit": 3, "cursor": pages[-1]["next"]}
        pages.append(system.http.get("/v1/parked", params=query).json())
    assert [m["id"] for page in pages for m in page["messages"]] == [m["id"] for m in listed(system)]


def test_bodies_that_are_no_text_are_shown_and_sent_as_they_are(system: System, channel: Any) -> None:
    body = bytes(range(256)) * 1200
    publish(channel, body, message_id="binary", headers={"raw": b"\xff\xfe"})
    message = parked(system, "binary")
    view = system.http.get(f"/v1/parked/{message['id']}").json()
    assert (view["encoding"], view["size"], view["shown"]) == ("base64", len(body), 256 * 1024)
    assert act(system, message, "replay").is_success
    again = parked(system, "binary")
    assert system.http.get(f"/v1/parked/{again['id']}").json()["headers"]["raw"] == {"base64": "//4="}
    assert again["size"] == len(body)
    assert act(system, again, "discard").is_success  # it is in nobody's group


def test_the_command_line_does_the_same(system: System, channel: Any, tmp_path: Path, file: str) -> None:
    publish(channel, b"[red]\x1b[31m", message_id="by hand", type="[/b]")
    number = str(parked(system, "by hand")["id"])
    assert number in reelmill(system, "dead", "list").stdout
    assert "undecodable" in reelmill(system, "dead", "list", "--groups").stdout
    shown = reelmill(system, "dead", "show", number)
    assert (shown.returncode, "[red]\ufffd[31m" in shown.stdout) == (Exit.OK, True)
    assert json.loads(reelmill(system, "dead", "show", number, "--json").stdout)["message_id"] == "by hand"
    dry = reelmill(system, "dead", "discard", "--code", "undecodable", "--dry-run", "--json")
    assert int(number) in [item["id"] for item in json.loads(dry.stdout)["items"]]
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"file": file, "time": 0}))
    assert reelmill(system, "dead", "replay", number, "--body", str(body)).returncode == Exit.OK
    again = reelmill(system, "dead", "discard", number)
    assert (again.returncode, "already_resolved" in again.stdout) == (Exit.FAILED, True)
    assert reelmill(system, "dead", "replay").returncode == Exit.USAGE


@pytest.mark.row("X-18")
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/parked?cursor=x", None, 400, "bad_cursor"),
        ("GET", "/v1/parked?cursor=99999999999999999999", None, 400, "bad_cursor"),
        ("GET", "/v1/parked/groups?cursor=%27", None, 400, "bad_cursor"),
        ("GET", "/v1/parked?limit=0", None, 400, "invalid_parameter"),
        ("GET", "/v1/parked/0", None, 404, "unknown_message"),
        ("GET", "/v1/parked/nine", None, 404, "unknown_message"),
        ("POST", "/v1/parked/99999999999999999999/discard", None, 404, "unknown_message"),
        ("POST", "/v1/parked/999999999/replay", None, 404, "unknown_message"),
        ("POST", "/v1/parked/1/replay", {"routing_key": "a b"}, 400, "invalid_parameter"),
        ("POST", "/v1/parked/1/replay", {"message": ""}, 400, "invalid_parameter"),
        ("POST", "/v1/parked/replay", {}, 400, "invalid_parameter"),
        ("POST", "/v1/parked/replay", {"ids": [1], "code": "x"}, 400, "invalid_parameter"),
        ("POST", "/v1/parked/discard", {"ids": [10**30]}, 400, "invalid_parameter"),
        ("POST", "/v1/parked/discard", {"code": "x", "limit": 1001}, 400, "invalid_parameter"),
        ("POST", "/v1/parked/discard", {"code": "\0"}, 400, "invalid_parameter"),
    ],
)
def test_bad_requests_get_a_problem(system: System, method: str, path: str, body: Any, status: int, code: str) -> None:
    answer = system.http.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
