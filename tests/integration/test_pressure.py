"""Saying no in time: an alarm, a full queue, a long backlog, a quota, a rate; and nothing that was accepted is lost."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import Engine, text

from infra import db, tokens
from infra.stack import Stack
from infra.tokens import Role
from tests.system import PATIENCE, System, local_client, until

FULL = "^reelmill\\.analyzer$"


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    shared.start("gateway", "relay", REELMILL_BACKLOG_LIMIT="500", REELMILL_RELAY_TICK_SECONDS="0.1")
    until(lambda: shared.http.get("/readyz").json()["checks"]["broker"], "the gateway reaches the broker")
    return shared


@pytest.fixture(scope="module")
def database(system: System) -> Iterator[Engine]:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=2)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def file(system: System) -> str:
    return system.upload(b"hello")


def echo(**terms: Any) -> dict[str, Any]:
    return {"kind": "probe.echo", "params": {"text": "x"}} | terms


def sleep(file: str, **terms: Any) -> dict[str, Any]:
    return {"kind": "analyze.sleep", "params": {"file": file, "time": 0}} | terms


def ask(system: System, wanted: dict[str, Any]) -> tuple[int, str]:
    """The status, and the code of the problem or the id of the job."""
    answer = system.http.post("/v1/jobs", json=wanted)
    if answer.status_code in {429, 503}:
        assert int(answer.headers["retry-after"]) >= 1
    return answer.status_code, answer.json().get("code", answer.json().get("id"))


def count(database: Engine, condition: str) -> int:
    with database.connect() as connection:
        return int(connection.execute(text(f"select count(*) from jobs where {condition}")).scalar_one())


def caller(system: System, database: Engine, name: str, live_jobs: int | None = None) -> httpx.Client:
    with database.begin() as connection:
        secret = tokens.create(connection, name, [Role.PRODUCER], live_jobs=live_jobs)
    return local_client(system.url, secret)


@pytest.mark.row("X-03", "X-04")
def test_an_alarm_is_said_before_anything_is_committed(
    system: System, database: Engine, stack: Stack, file: str
) -> None:
    accepted: list[str] = []

    def refused() -> bool:
        status, told = ask(system, sleep(file))
        if status == 202:
            accepted.append(told)
        return (status, told) == (503, "broker_blocked")

    try:
        stack.rabbitmqctl("set_vm_memory_high_watermark", "0.00001")
        # A connection learns of an alarm when it sends: what is accepted until then must come through.
        until(refused, "the gateway says that the broker is blocked")
        before = count(database, "true")
        assert ask(system, echo()) == (503, "broker_blocked")
        lines = system.http.post(
            "/v1/jobs", content=b'{"kind":"probe.echo"}\n' * 3, headers={"Content-Type": "application/x-ndjson"}
        )
        assert (lines.status_code, lines.json()["code"]) == (503, "broker_blocked")
        assert count(database, "true") == before
    finally:
        stack.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
    until(lambda: ask(system, sleep(file))[0] == 202, "the gateway takes jobs again")
    assert accepted
    system.start("analyzer", REELMILL_LEASE_SECONDS="60")  # a beat that is late costs no attempt
    for job_id in accepted:
        assert system.until_state(job_id, "succeeded")["attempt"] == 1
    system.stop_one("analyzer")


@pytest.mark.row("X-03", "X-04")
def test_a_full_queue_is_said_and_every_accepted_job_is_sent_in_the_end(
    system: System, database: Engine, stack: Stack, file: str
) -> None:
    vhost = system.environment["REELMILL_AMQP_URL"].rpartition("/")[2]
    policy = orjson.dumps({"max-length": 10, "overflow": "reject-publish"}).decode()
    stack.rabbitmqctl("set_policy", "--vhost", vhost, "--apply-to", "queues", "full", FULL, policy)
    told: Counter[tuple[int, str]] = Counter()
    accepted: list[str] = []

    def refused() -> bool:
        status, what = ask(system, sleep(file))
        told[status, what if status != 202 else ""] += 1
        if status == 202:
            accepted.append(what)
        return told[503, "queue_full"] >= 20

    def told_line_by_line() -> bool:
        """Now and then a job is let through to see, and then it may be one of these."""
        body = b"".join(orjson.dumps(line) + b"\n" for line in (sleep(file), echo(), sleep(file)))
        batch = system.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/x-ndjson"})
        first, other, last = [orjson.loads(line) for line in batch.content.splitlines()]
        accepted.extend(line["id"] for line in (first, last) if line["status"] == "created")
        assert other["status"] == "created"
        refused = [line.get("error", {}).get("code") for line in (first, last)]
        assert set(refused) <= {"queue_full", None}
        return (refused, batch.status_code, batch.headers.get("retry-after")) == (["queue_full"] * 2, 207, "2")

    try:
        # A hundred at once, which are all in flight before the first of them is refused.
        many = (orjson.dumps(sleep(file)) + b"\n") * 100
        flood = system.http.post("/v1/jobs", content=many, headers={"Content-Type": "application/x-ndjson"})
        assert flood.status_code == 202
        accepted += [orjson.loads(line)["id"] for line in flood.content.splitlines()]
        told[202, ""] += len(accepted)  # the broker may have refused one before the next is asked for
        until(refused, "the gateway says that the queue is full")
        # Others are none of its business, and a batch is told line by line.
        assert ask(system, echo())[0] == 202
        until(told_line_by_line, "both lines for the full queue are refused")
        assert set(told) == {(202, ""), (503, "queue_full")}
        assert count(database, "consumer = 'analyzer' and state = 'queued'") >= len(accepted) >= 100
        assert count(database, "consumer = 'analyzer' and state = 'queued' and published_at is null") > 0
    finally:
        stack.rabbitmqctl("clear_policy", "--vhost", vhost, "full")
    until(lambda: ask(system, sleep(file))[0] == 202, "one job is let through, and the broker takes it")
    system.start("analyzer", REELMILL_LEASE_SECONDS="60")
    for job_id in accepted:
        assert system.until_state(job_id, "succeeded")["attempt"] == 1
    system.stop_one("analyzer")


@pytest.mark.row("X-03")
def test_a_long_backlog_is_said(system: System, database: Engine, file: str) -> None:
    # The relay counts; until it does, we do.
    until(lambda: _backlog(database, 499), "the count is noted")
    assert ask(system, sleep(file, run_at="2100-01-01T00:00:00Z"))[0] == 202

    def refused() -> bool:
        _backlog(database, 500)
        return ask(system, sleep(file, run_at="2100-01-01T00:00:00Z")) == (503, "backlog_full")

    until(refused, "the gateway says that too much waits")
    assert ask(system, echo())[0] == 202
    until(lambda: ask(system, sleep(file))[0] == 202, "the relay's own count is believed again")


def _backlog(database: Engine, queued: int) -> bool:
    with database.begin() as connection:
        statement = "update backlogs set queued = :queued, counted_at = now() where consumer = 'analyzer'"
        return connection.execute(text(statement), {"queued": queued}).rowcount == 1


@pytest.mark.row("X-03")
def test_a_token_has_only_so_many_live_jobs(system: System, database: Engine) -> None:
    later = echo(run_at="2100-01-01T00:00:00Z")
    with caller(system, database, "small", live_jobs=5) as small:
        made = [small.post("/v1/jobs", json=later) for _ in range(5)]
        assert {answer.status_code for answer in made} == {202}
        over = small.post("/v1/jobs", json=later)
        assert (over.status_code, over.json()["code"], over.headers["retry-after"]) == (429, "quota_exceeded", "5")
        assert system.http.post(f"/v1/jobs/{made[0].json()['id']}/cancel").status_code == 202
        body = (orjson.dumps(later) + b"\n") * 3
        batch = small.post("/v1/jobs", content=body, headers={"Content-Type": "application/x-ndjson"})
        told = [orjson.loads(line) for line in batch.content.splitlines()]
        assert batch.status_code == 207
        assert [line["status"] for line in told] == ["created", "refused", "refused"]
        assert told[1]["error"]["code"] == "quota_exceeded"
        again = small.post("/v1/jobs", content=body, headers={"Content-Type": "application/x-ndjson"})
        assert (again.status_code, again.json()["code"]) == (429, "quota_exceeded")
    with caller(system, database, "crowd", live_jobs=20) as crowd:
        headers = dict(crowd.headers)

        async def run() -> Counter[int]:
            async with httpx.AsyncClient(base_url=system.url, headers=headers, timeout=PATIENCE) as client:
                answers = await asyncio.gather(*(client.post("/v1/jobs", json=later) for _ in range(60)))
            return Counter(answer.status_code for answer in answers)

        assert asyncio.run(run()) == {202: 20, 429: 40}


@pytest.mark.row("X-03")
def test_a_token_has_a_rate(system: System, database: Engine, tmp_path: Path) -> None:
    slow = System(system.environment, system.token, tmp_path)
    try:
        slow.start("gateway", REELMILL_REQUESTS_PER_SECOND="0.2")
        with caller(slow, database, "hasty") as hasty, caller(slow, database, "other") as other:
            assert hasty.get("/v1/jobs").status_code == 200

            def refused() -> httpx.Response | None:
                answer = hasty.get("/v1/kinds")
                return answer if answer.status_code == 429 else None

            over = until(refused, "it asks again before the bucket is full")
            assert over.json()["code"] == "rate_limited"
            assert int(over.headers["retry-after"]) in {1, 2, 3, 4, 5}
            assert other.get("/v1/jobs").status_code == 200
            until(lambda: hasty.get("/v1/jobs").status_code == 200, "it is let in again")
    finally:
        slow.stop()
