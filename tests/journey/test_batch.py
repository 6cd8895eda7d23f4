"""Many jobs in one request, CloudEvents, chosen ids: each line has its own outcome; asking twice changes nothing."""

from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from schemas.jobs import JobView
from tests.system import System

LATER = "2100-01-01T00:00:00Z"


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay")
    return shared


def echo(text: str = "hello", **terms: Any) -> dict[str, Any]:
    return {"kind": "probe.echo", "params": {"text": text}, "run_at": LATER} | terms


def post(system: System, lines: list[Any], **headers: str) -> httpx.Response:
    body = b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines)
    return system.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/x-ndjson"} | headers)


def outcomes(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "application/x-ndjson", answer.text
    return [orjson.loads(line) for line in answer.content.splitlines()]


def codes(answer: httpx.Response) -> list[str]:
    return [line["error"]["code"] if "error" in line else line["status"] for line in outcomes(answer)]


def count(system: System) -> int:
    return len(system.http.get("/v1/jobs", params={"limit": 1000}).json()["jobs"])


@pytest.mark.row("X-18")
def test_every_line_has_its_own_outcome(system: System) -> None:
    lines = [
        echo(),
        b"{",
        b"[1]",
        b"",
        echo(kind="no.such"),
        echo(params={"text": 5}),
        echo(priority=10),
        echo(surprise=1),
        echo(text="a\0b"),  # the database cannot store it
        echo(after=[str(uuid4())]),
        echo("last"),
    ]
    answer = post(system, lines)
    assert answer.status_code == 207
    told = outcomes(answer)
    assert [line["line"] for line in told] == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]  # an empty line is none
    bad = ["bad_json", "invalid_parameter", "unknown_kind", *["invalid_parameter"] * 4, "unknown_dependency"]
    assert codes(answer) == ["created", *bad, "created"]
    assert [told[n]["error"].get("field") for n in (4, 5, 6)] == ["params.text", "priority", "surprise"]
    assert system.job(told[-1]["id"])["params"] == {"text": "last"}


def test_many_lines_are_answered_in_their_order(system: System) -> None:
    answer = post(system, [echo(str(n)) for n in range(2500)])
    assert answer.status_code == 202
    told = outcomes(answer)
    assert [line["line"] for line in told] == list(range(1, 2501))
    assert {(line["status"], line["state"]) for line in told} == {("created", "scheduled")}
    assert len({line["id"] for line in told}) == 2500
    for n in (0, 999, 1000, 2499):
        assert system.job(told[n]["id"])["params"] == {"text": str(n)}


def test_a_fan_in_is_one_request(system: System) -> None:
    needs = [str(uuid4()) for _ in range(3)]
    filling = [echo("between") for _ in range(1000)]  # the last line is in another transaction than the first
    lines = [*(echo(id=each) for each in needs), *filling, {"kind": "probe.echo", "after": needs}]
    answer = post(system, lines)
    assert answer.status_code == 202
    waiting = system.job(outcomes(answer)[-1]["id"])
    assert waiting["state"] == "scheduled"
    # What comes later cannot be waited for, nor what was refused.
    early, refused = str(uuid4()), str(uuid4())
    lines = [echo(after=[early]), echo(id=early), echo(id=refused, kind="no.such"), echo(after=[refused])]
    assert codes(post(system, lines)) == ["unknown_dependency", "created", "unknown_kind", "unknown_dependency"]


@pytest.mark.row("S3-50")
def test_a_chosen_id_makes_one_job_of_equal_requests(system: System) -> None:
    lines = [echo(str(n), id=str(uuid4())) for n in range(3)]
    first, again = post(system, lines), post(system, lines)
    assert (first.status_code, again.status_code) == (202, 202)
    assert [line["id"] for line in outcomes(first)] == [line["id"] for line in lines]
    assert codes(again) == ["duplicate"] * 3
    new = echo(id=str(uuid4()))
    assert codes(post(system, [lines[0] | echo("other"), new, new, new | echo("other")])) == [
        "id_reused",
        "created",
        "duplicate",
        "id_reused",
    ]


def test_an_idempotency_key_belongs_to_its_line(system: System) -> None:
    first = post(system, [echo("a", idempotency_key="one"), echo("b", idempotency_key="two"), echo("c")])
    again = [echo("a", idempotency_key="one"), echo("x", idempotency_key="two"), echo("c")]
    assert codes(post(system, again)) == ["duplicate", "idempotency_key_reused", "created"]
    assert outcomes(post(system, again[:1]))[0]["id"] == outcomes(first)[0]["id"]
    same = echo("d", idempotency_key="three")
    assert codes(post(system, [same, same])) == ["created", "duplicate"]
    whole = post(system, [echo()], **{"Idempotency-Key": "k"})
    assert (whole.status_code, whole.json()["code"]) == (400, "bad_idempotency_key")


@pytest.mark.row("X-03")
def test_a_batch_has_limits_and_nothing_of_it_is_committed_beyond(system: System) -> None:
    before = system.http.get("/v1/jobs", params={"limit": 1}).json()["jobs"]
    many = post(system, [b"{}"] * 10_001)
    assert (many.status_code, many.json()["code"], many.json()["limit"]) == (413, "too_many_lines", 10_000)
    events = system.http.post(
        "/v1/jobs", content=orjson.dumps([{}] * 10_001), headers={"Content-Type": "application/cloudevents-batch+json"}
    )
    assert (events.status_code, events.json()["code"]) == (413, "too_many_lines")
    large = post(system, [echo(), b" " * 17 * 1024 * 1024])
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    for body in ([], [b"", b"  "]):
        assert (post(system, body).status_code, post(system, body).json()["code"]) == (400, "empty_batch")
    assert system.http.get("/v1/jobs", params={"limit": 1}).json()["jobs"] == before


def test_files_of_many_lines_are_found_together(system: System) -> None:
    file = system.upload(b"hello")
    lines = [
        {"kind": "analyze.sleep", "params": {"file": name, "time": 0}, "run_at": LATER}
        for name in (file, file[:8], "0123456789", "..", file)
    ]
    answer = post(system, lines)
    assert codes(answer) == ["created", "created", "unknown_file", "invalid_parameter", "created"]
    assert system.job(outcomes(answer)[1]["id"])["inputs"] == [{"param": "file", "sha256": file}]


def test_a_cloud_event_is_a_job(system: System) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "https://example.com/cameras/7",
        "type": "probe.echo",
        "time": "2030-01-01T00:00:00Z",
        "traceparent": trace,
        "data": {"text": "event"},
        "someextension": "x",
    }

    def send(document: Any, kind: str = "application/cloudevents+json; charset=utf-8") -> httpx.Response:
        return system.http.post("/v1/jobs", content=orjson.dumps(document), headers={"Content-Type": kind})

    first, again, other = send(event), send(event), send(event | {"data": {"text": "other"}})
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 422)
    assert again.json()["id"] == first.json()["id"]
    job = system.job(first.json()["id"])
    assert (job["params"], job["traceparent"]) == ({"text": "event"}, trace)
    assert send(event | {"source": "https://example.com/cameras/8"}).status_code == 202
    assert send(event | {"specversion": "0.3"}).json()["code"] == "invalid_parameter"
    assert send(event | {"id": "2", "data_base64": "AA=="}).json()["code"] == "invalid_parameter"
    assert send(event | {"id": "2", "datacontenttype": "text/xml"}).json()["code"] == "invalid_parameter"
    batch = send([event, event | {"id": "9" * 500}, {}], "application/cloudevents-batch+json")
    assert codes(batch) == ["duplicate", "created", "invalid_parameter"]
    assert send({}, "application/cloudevents-batch+json").json()["code"] == "invalid_parameter"


def test_one_job_may_have_a_chosen_id_and_wait_for_others(system: System) -> None:
    need, mine = str(uuid4()), str(uuid4())
    assert system.submit(**echo(id=need)) == need
    wanted = echo(id=mine, after=[need], concurrency_key="camera-7", after_failure="run") | {"run_at": None}
    first, again = system.http.post("/v1/jobs", json=wanted), system.http.post("/v1/jobs", json=wanted)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"] == mine
    assert first.json()["state"] == "scheduled"
    for change, status, code in (
        ({"params": {"text": "other"}}, 409, "id_reused"),
        ({"after": []}, 409, "id_reused"),
        ({"id": str(uuid4()), "after": [str(uuid4())]}, 404, "unknown_dependency"),
        ({"id": "x"}, 400, "invalid_parameter"),
    ):
        refused = system.http.post("/v1/jobs", json=wanted | change)
        assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_the_reply_to_a_new_job_is_what_a_look_at_it_shows(system: System) -> None:
    file = system.upload(b"hello")
    asked = {
        "kind": "analyze.sleep",
        "params": {"file": file[:12], "time": 1},
        "run_at": LATER,
        "key": "k",
        "priority": 3,
    }
    for wanted in (echo(), asked):
        answer = system.http.post("/v1/jobs", json=wanted)
        assert answer.status_code == 202
        assert answer.json() == system.job(answer.json()["id"])
        assert answer.json().keys() == JobView.model_fields.keys()
