"""The facts from outside: a feed to page through, streams that stay open, one job followed to its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import Engine, text

from gateway.stream import STUCK_SECONDS
from infra import db, events
from infra.cli.exits import Exit
from tests.journey.test_cli import reelmill
from tests.makers import UNPUBLISHED
from tests.receiver import receiving
from tests.system import PATIENCE, System, until

#: Streams are told that the gateway stops, however busy the machine is.
PATIENT = {"REELMILL_GRACE_SECONDS": "30"}
LATER = {"run_at": "2100-01-01T00:00:00Z"}
Message = dict[str, str]


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay", **PATIENT)
    return shared


@pytest.fixture(scope="module")
def engine(system: System) -> Iterator[Engine]:
    made = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=2)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def file(system: System) -> str:
    return system.upload(b"hello", "hello.txt")


def cancelled(system: System, file: str) -> str:
    """A job that was scheduled and cancelled: two facts, and over."""
    job_id = system.submit("analyze.sleep", {"file": file, "time": 0}, **LATER)
    assert system.http.post(f"/v1/jobs/{job_id}/cancel").is_success
    return job_id


def changes(system: System, **query: Any) -> dict[str, Any]:
    answer = system.http.get("/v1/changes", params=query, timeout=120)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def now(system: System, engine: Engine) -> int:
    """The end of the feed, when everything that has happened is in it."""
    until(lambda: count(engine, UNPUBLISHED) == 0, "all facts are out")
    return int(changes(system, since="now")["next"])


def count(engine: Engine, query: str) -> int:
    return int(value(engine, query))


def value(engine: Engine, query: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(query)).scalar()


def insert(engine: Engine, number: int, kind: str = "test.made", size: int = 1) -> None:
    values = {"number": number, "kind": kind, "size": size}
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into events (type, data) select :kind, jsonb_build_object('n', n, 'fill', repeat('x', :size))"
                " from generate_series(1, :number) n"
            ),
            values,
        )


@contextmanager
def listening(
    system: System, path: str = "/v1/events", headers: dict[str, str] | None = None, **query: Any
) -> Iterator[Iterator[Message]]:
    accept = {"Accept": "text/event-stream", **(headers or {})}
    with system.http.stream("GET", path, params=query, headers=accept, timeout=120) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer)


def messages(answer: httpx.Response) -> Iterator[Message]:
    """Messages as a browser would hand them out, and the first block, which only says where the stream begins.

    Without those that only say that somebody is still there: they come whenever nothing has come for a while.
    """
    block: Message = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
        elif block:
            if "" not in block:  # a comment
                yield block
            block = {}


def told(block: Message) -> dict[str, Any]:
    body = orjson.loads(block["data"])
    assert body["seq"] == int(block["id"])
    return dict(body)


@pytest.mark.row("X-14")
def test_the_feed_pages_without_a_gap_and_since_is_exclusive(system: System, engine: Engine, file: str) -> None:
    start = now(system, engine)
    made = [cancelled(system, file) for _ in range(5)]
    end = now(system, engine)
    seen: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": start, "more": True}
    while page["more"]:
        page = changes(system, since=page["next"], limit=3)
        assert len(page["changes"]) <= 3
        seen += page["changes"]
    assert [fact["seq"] for fact in seen] == list(range(start + 1, end + 1))
    assert [fact["job_id"] for fact in seen if fact["type"] == "job.analyze.sleep.cancelled"] == made
    assert {"seq", "id", "type", "occurred_at", "job_id", "traceparent", "data"} == set(seen[0])
    assert changes(system, since=end) == {"changes": [], "next": end, "more": False}


def test_a_feed_of_some_types_moves_on_although_none_of_them_comes(system: System, engine: Engine, file: str) -> None:
    start = now(system, engine)
    insert(engine, events.LOOKS + 10, "dull.fact")
    cancelled(system, file)
    end = now(system, engine)
    first = changes(system, since=start, types="job.#.cancelled,file.*")
    assert (first["changes"], first["next"], first["more"]) == ([], start + events.LOOKS, True)
    second = changes(system, since=first["next"], types="job.#.cancelled,file.*")
    assert [fact["type"] for fact in second["changes"]] == ["job.analyze.sleep.cancelled"]
    assert (second["next"], second["more"]) == (end, False)


def test_a_reader_may_wait_for_what_comes(system: System, engine: Engine, file: str) -> None:
    start = now(system, engine)
    assert changes(system, since=start, wait=1) == {"changes": [], "next": start, "more": False}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(changes, system, since=start, types="job.#.cancelled", wait=60)
        job_id = cancelled(system, file)
        page = waiting.result()
    assert [fact["job_id"] for fact in page["changes"]] == [job_id]


@pytest.mark.row("X-18")
@pytest.mark.parametrize(
    "query",
    [
        "since=-1",
        "since=x",
        "since=999999999999999999",
        "since=" + "9" * 40,
        "types=a..b",
        "types=(",
        "types=" + ",".join("a" * 21),
        "wait=61",
        "limit=0",
        "limit=1001",
    ],
)
def test_what_cannot_be_meant_is_refused(system: System, query: str) -> None:
    answer = system.http.get(f"/v1/changes?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_a_stream_begins_now_and_tells_what_is_wanted(system: System, engine: Engine, file: str) -> None:
    start = now(system, engine)
    with listening(system, types="job.#.cancelled") as heard:
        assert next(heard) == {"id": str(start), "retry": "2000"}
        made = [cancelled(system, file) for _ in range(3)]
        assert [told(next(heard))["job_id"] for _ in made] == made
    with listening(system, job_id=made[2], last_event_id=str(start)) as heard:
        next(heard)
        kinds = [told(next(heard))["type"].rpartition(".")[2] for _ in range(2)]
    assert kinds == ["scheduled", "cancelled"]


@pytest.mark.row("X-14")
def test_who_comes_back_gets_what_he_missed(system: System, engine: Engine, file: str) -> None:
    start = now(system, engine)
    with listening(system) as heard:
        next(heard)
        cancelled(system, file)
        last = next(heard)
    cancelled(system, file)
    end = now(system, engine)
    with listening(system, headers={"Last-Event-ID": last["id"]}) as heard:
        assert next(heard)["id"] == last["id"]
        rest = [told(next(heard))["seq"] for _ in range(end - int(last["id"]))]
        cancelled(system, file)
        assert told(next(heard))["seq"] == end + 1
    assert [int(last["id"]), *rest] == list(range(start + 1, end + 1))


def test_one_job_is_followed_to_its_end_and_no_further(system: System, engine: Engine, file: str) -> None:
    job_id = system.submit("analyze.sleep", {"file": file, "time": 0}, **LATER)
    path = f"/v1/jobs/{job_id}/events"
    with listening(system, path) as heard:
        next(heard)
        assert told(next(heard))["type"] == "job.analyze.sleep.scheduled"
        cancelled(system, file)
        assert system.http.post(f"/v1/jobs/{job_id}/cancel").is_success
        last = next(heard)
        assert (told(last)["type"], told(last)["job_id"]) == ("job.analyze.sleep.cancelled", job_id)
        assert next(heard) == {"event": "close", "data": '{"reason":"ended"}'}
        assert list(heard) == []
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last["id"]}
    assert system.http.get(path, headers=headers).status_code == 204
    timeline = system.http.get(path).json()["events"]
    assert [event["type"].rpartition(".")[2] for event in timeline] == ["scheduled", "cancelled"]


def test_a_listener_who_does_not_read_holds_up_nobody_and_gets_everything_later(system: System, engine: Engine) -> None:
    start = now(system, engine)
    with socket.socket() as slow, listening(system) as heard:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        slow.connect(("127.0.0.1", system.port))
        slow.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % system.token.encode())
        next(heard)
        assert slow.recv(12) == b"HTTP/1.1 200"
        insert(engine, 20_000, size=1000)
        seen: list[int] = []
        early, looked = b"", time.monotonic()
        while len(seen) < 20_000:
            seen.append(told(next(heard))["seq"])
            if time.monotonic() - looked > STUCK_SECONDS / 3:  # who takes nothing for longer is cut off
                early, looked = early + waiting_at(slow), time.monotonic()
        assert seen == list(range(start + 1, start + 20_001))
        ids: list[int] = []
        for line in lines_of(early, slow):
            if line.startswith(b"data: {"):
                ids.append(orjson.loads(line[6:])["seq"])
                if ids[-1] >= start + 20_000:
                    break
        assert ids == seen


def waiting_at(listener: socket.socket) -> bytes:
    """What can be read without waiting."""
    pieces = []
    with suppress(BlockingIOError):
        while piece := listener.recv(65536, socket.MSG_DONTWAIT):
            pieces.append(piece)
    return b"".join(pieces)


def lines_of(early: bytes, listener: socket.socket) -> Iterator[bytes]:
    """The lines of what was read before and of what comes."""
    *whole, begun = early.split(b"\n")
    yield from whole
    with listener.makefile("rb") as rest:
        yield begun + rest.readline()
        yield from rest


def test_the_gateway_stops_in_order_although_somebody_listens(system: System, engine: Engine, file: str) -> None:
    start = now(system, engine)
    until(lambda: "event_listeners 0.0" in system.http.get("/metrics").text, "who listened before is gone")
    with ThreadPoolExecutor() as pool, listening(system) as heard:
        next(heard)
        waiting = pool.submit(changes, system, since=start, wait=60)
        until(lambda: "event_listeners 2.0" in system.http.get("/metrics").text, "both listen")
        system.signal("gateway", signal.SIGTERM)
        assert next(heard) == {"event": "close", "data": '{"reason":"shutdown"}'}
        assert list(heard) == []
        assert waiting.result()["next"] == start
    system.processes["gateway"].wait(timeout=PATIENCE)
    assert "Finished server process" in system.log("gateway")
    assert "graceful shutdown exceeded" not in system.log("gateway")
    system.start("gateway", **PATIENT)


def test_the_command_shows_what_happened_and_stays_for_what_happens(system: System, engine: Engine, file: str) -> None:
    start = now(system, engine)
    first = cancelled(system, file)
    now(system, engine)
    shown = reelmill(system, "events", "--since", str(start), "--types", "job.#.cancelled")
    assert shown.returncode == 0, shown.stderr
    assert len(shown.stdout.splitlines()) == 1
    assert first in shown.stdout
    arguments = ("events", "--follow", "--json", "--since", str(start), "--types", "job.#.cancelled")
    with following(system, *arguments) as lines:
        assert orjson.loads(next(lines))["job_id"] == first
        second = cancelled(system, file)
        assert orjson.loads(next(lines))["job_id"] == second
    assert reelmill(system, "events", "--types", "a..b").returncode == Exit.USAGE
    assert len(reelmill(system, "events", "--limit", "3").stdout.splitlines()) == 3


@contextmanager
def following(system: System, *arguments: str) -> Iterator[Iterator[str]]:
    ours = {"REELMILL_URL": system.url, "REELMILL_TOKEN": system.token}
    # Whatever started the tests may have its children ignore Ctrl-C, as shells do for what runs in the background.
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-c",
        "from infra.cli.app import main; main()",
        *arguments,
    ]
    with subprocess.Popen(command, env=os.environ | ours, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield iter(running.stdout)
        finally:
            running.send_signal(signal.SIGINT)
            try:
                running.wait(timeout=120)
            except subprocess.TimeoutExpired:
                running.kill()
                raise


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", "private_address"),
        ("localhost:1", "private_address"),
        ("[::ffff:10.1.2.3]", "private_address"),
        ("2130706433", "private_address"),
        ("169.254.169.254", "private_address"),
        ("no.invalid", "unknown_host"),
    ],
)
def test_no_webhook_goes_into_our_own_network(system: System, host: str, code: str) -> None:
    answer = system.http.post("/v1/webhooks", json={"url": f"http://{host}/"})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_name_that_has_come_to_lead_into_our_network_is_found_out_at_delivery(system: System, engine: Engine) -> None:
    insert_hook = "insert into webhooks (id, url, secret, types, seen_seq, created_by)"
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        start = now(system, engine)
        with engine.begin() as connection:
            connection.execute(
                text(f"{insert_hook} values (gen_random_uuid(), :url, 'whsec_YQ==', '{{#}}', :seq, 'test')"),
                {"url": url, "seq": start},
            )
        insert(engine, 1)
        error = "select error from webhook_deliveries where attempt >= 1"
        assert until(lambda: value(engine, error), "the delivery was tried") == "private_address"
        assert not receiver.letters
        with engine.begin() as connection:
            connection.execute(text("delete from webhooks"))


def test_what_retention_has_taken_is_gone(system: System, engine: Engine, file: str) -> None:
    cancelled(system, file)
    end = now(system, engine)
    with engine.begin() as connection:
        assert events.retire(connection, 0, end - 1) == end - 1
    cancelled(system, file)
    answer = system.http.get("/v1/changes?since=1")
    assert (answer.status_code, answer.json()["code"], answer.json()["oldest"]) == (410, "gone", end)
    assert system.http.get("/v1/events", headers={"Last-Event-ID": "1"}).status_code == 410
    assert changes(system, limit=1)["changes"][0]["seq"] == end
