"""Jobs through the front door: asked for, seen, waited for, cancelled, retried, refused."""

import socket
from contextlib import suppress
from typing import Any

import pytest

from tests.system import PATIENCE, System, local_client, until


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay", "analyzer")
    until(lambda: "broker.connected" in shared.log("analyzer"), "the analyzer has its queue")
    return shared


@pytest.fixture(scope="module")
def file(system: System) -> str:
    return system.upload(b"hello", "hello.txt")


def sleep(file: str, seconds: int = 0) -> dict[str, Any]:
    return {"kind": "analyze.sleep", "params": {"file": file, "time": seconds}}


@pytest.mark.row("X-13")
def test_a_job_runs_and_tells_its_story(system: System, file: str) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = system.http.post("/v1/jobs", json=sleep(file, 1), headers={"traceparent": trace})
    assert answer.status_code == 202
    job = system.until_state(answer.json()["id"], "succeeded")
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["progress"] == 100
    assert job["traceparent"] == trace
    assert job["inputs"] == [{"param": "file", "sha256": file}]
    events = system.http.get(f"/v1/jobs/{job['id']}/events").json()["events"]
    told = [event["type"].removeprefix("job.analyze.sleep.") for event in events]
    assert [what for what in told if what != "progress"] == ["queued", "running", "artifact.created", "succeeded"]


def test_the_same_key_gives_the_same_job(system: System, file: str) -> None:
    keyed = sleep(file) | {"key": "k", "run_at": "2100-01-01T00:00:00Z"}
    first = system.http.post("/v1/jobs", json=keyed)
    again = system.http.post("/v1/jobs", json=keyed)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]


@pytest.mark.row("S1-14")
def test_an_idempotency_key_is_bound_to_its_request(system: System, file: str) -> None:
    headers = {"Idempotency-Key": "once"}
    first = system.http.post("/v1/jobs", json=sleep(file), headers=headers)
    again = system.http.post("/v1/jobs", json=sleep(file), headers=headers)
    other = system.http.post("/v1/jobs", json=sleep(file, 1), headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 422)
    assert first.json()["id"] == again.json()["id"]
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.row("S1-22")
def test_a_waiting_job_is_cancelled_at_once_and_can_be_retried(system: System, file: str) -> None:
    later = {"run_at": "2100-01-01T00:00:00Z"}
    job_id = system.submit("analyze.sleep", {"file": file, "time": 0}, **later)
    assert system.http.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    again = system.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "already_ended")
    assert system.http.post(f"/v1/jobs/{job_id}/retry").json()["state"] == "queued"
    system.until_state(job_id, "succeeded")
    assert system.http.post(f"/v1/jobs/{job_id}/retry").status_code == 409


def test_a_caller_may_wait_for_the_end(system: System, file: str) -> None:
    system.until_state(system.submit("analyze.sleep", {"file": file, "time": 0}), "succeeded")  # the analyzer is awake
    answer = system.http.post("/v1/jobs", json=sleep(file), headers={"Prefer": "wait=60"})
    assert answer.headers["preference-applied"] == "wait=60"
    assert answer.json()["state"] == "succeeded"


def test_a_job_for_later_waits_for_its_time(system: System, file: str) -> None:
    later = system.http.post("/v1/jobs", json=sleep(file) | {"run_at": "2100-01-01T00:00:00Z"})
    assert later.json()["state"] == "scheduled"


@pytest.mark.row("X-17")
def test_lists_page_without_gaps(system: System, file: str) -> None:
    made = [system.submit("analyze.sleep", {"file": file, "time": n}) for n in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = system.http.get("/v1/jobs", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen[:7] == made[::-1]
    assert len(seen) == len(set(seen))


@pytest.mark.row("X-18", "X-03", "S3-04")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"[]", 400, "invalid_parameter"),
        (b"{}", 400, "invalid_parameter"),
        (b'{"kind": "no.such"}', 400, "unknown_kind"),
        (b'{"kind": "analyze.sleep", "params": {"file": "abcd", "time": -1}}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "params": {"file": "abcd", "time": "abc"}}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "params": {"file": "abcd", "time": 1e12}}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "params": {"file": "../../etc/hosts", "time": 1}}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "params": {"file": "abcdef", "time": 1}}', 404, "unknown_file"),
        (b'{"kind": "analyze.sleep", "params": {"file": "%s", "time": 1}}' % (b"ab" * 32), 404, "unknown_file"),
        (b'{"kind": "analyze.sleep", "params": {"file": "abcd", "time": 1, "x": 1}}', 400, "invalid_parameter"),
        (b'{"kind": "split.video", "params": {"file": "abcd", "rate": 0}}', 400, "invalid_parameter"),
        (b'{"kind": "split.video", "params": {"file": "abcd", "rate": -5}}', 400, "invalid_parameter"),
        (b'{"kind": "split.video", "params": {"file": "abcd", "rate": "1e999999999"}}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "run_at": "9999-12-31T23:59:59-12:00"}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "run_at": "0001-01-01T00:00:00+23:00"}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "run_at": "2030-01-01T00:00:00"}', 400, "invalid_parameter"),
        (b'{"kind": "analyze.sleep", "key": "a b"}', 400, "invalid_parameter"),
        (b'"' + b"x" * 2_000_000 + b'"', 413, "too_large"),
        (b'{"kind": "\\u0000"}', 400, "unknown_kind"),
    ],
)
def test_bad_requests_get_a_problem(system: System, file: str, body: bytes, status: int, code: str) -> None:
    answer = system.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "trace_id"} <= set(answer.json())
    assert "Traceback" not in answer.text


@pytest.mark.row("S2-18")
def test_strangers_get_nothing(system: System, file: str) -> None:
    for headers in ({}, {"Authorization": "Bearer nope"}, {"Authorization": "Basic !!!"}, {"Authorization": "Bearer"}):
        answer = system.http.build_request("GET", "/v1/jobs")
        answer.headers.pop("Authorization")
        answer.headers.update(headers)
        refused = system.http.send(answer)
        assert refused.status_code == 401
        assert "WWW-Authenticate" in refused.headers
    basic = system.http.get("/v1/jobs", auth=("test", system.token))
    assert basic.status_code == 200
    with local_client(system.url) as guessing:
        guesses = (guessing.get("/v1/jobs", auth=("test", f"guess {n}")).status_code for n in range(60))
        assert next(status for status in guesses if status != 401) == 429
    assert system.http.get("/v1/jobs").status_code == 200, "who was known before is not shut out"
    assert file


@pytest.mark.row("X-13")
def test_every_process_says_how_it_is(system: System, file: str) -> None:
    assert file
    assert system.http.get("/healthz").json() == {"status": "ok"}
    until(
        lambda: system.http.get("/readyz").json()["checks"] == dict(database=True, storage=True, broker=True), "ready"
    )
    assert "http_request_duration_seconds" in system.http.get("/metrics").text


@pytest.mark.row("X-18")
def test_what_is_not_there_says_what_is(system: System, file: str) -> None:
    odd = system.http.put(f"/v1/files/{file}")
    assert (odd.status_code, odd.json()["code"]) == (405, "method_not_allowed")
    assert {"GET", "DELETE"} <= set(odd.headers["allow"].split(", "))
    assert system.http.get("/no/such/page").json()["code"] == "not_found"
    old = system.http.put("/analysis")
    assert (old.status_code, old.json()["success"]) == (405, False)
    assert system.http.get("/v1/jobs?kind=%00").json()["code"] == "bad_character"


def test_times_of_any_zone_are_understood_or_refused(system: System, file: str) -> None:
    assert file
    for time, status in (("2020-01-01T00:00:00%2B23:00", 200), ("2020-01-01", 200), ("9999-12-31T23:59:59-12:00", 400)):
        assert system.http.get(f"/v1/files?created_after={time}").status_code == status, time


def test_a_job_whose_file_is_gone_cannot_be_retried(system: System) -> None:
    file = system.upload(b"soon gone")
    job_id = system.submit("analyze.sleep", {"file": file, "time": 0}, run_at="2100-01-01T00:00:00Z")
    assert system.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    assert system.http.delete(f"/v1/files/{file}").status_code == 204
    refused = system.http.post(f"/v1/jobs/{job_id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "inputs_gone")


@pytest.mark.row("X-03")
def test_the_head_of_a_request_has_a_limit(system: System) -> None:
    with socket.create_connection(("127.0.0.1", system.port), PATIENCE) as client, suppress(ConnectionError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        for number in range(1000):
            client.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        # Hung up, with or without a last word. Whoever goes on collecting keeps us waiting.
        assert client.recv(65536)[:12] in {b"HTTP/1.1 431", b""}
    large = "x" * 30_000  # what is not too large still goes through, however it is cut
    assert system.http.get("/healthz", headers={"X-One": large, "X-Two": large}).status_code == 200
