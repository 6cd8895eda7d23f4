"""Whose turn it is: priorities, limits per kind and key, rates and pauses, on four slots of two consumers."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, text

from infra import db
from tests.journey.test_cli import reelmill
from tests.system import PATIENCE, System, until

KIND = "analyze.sleep"
SLOTS = 4
OVERLAPS = """
select count(*) from jobs a join jobs b on a.concurrency_key = b.concurrency_key and a.id < b.id
where a.started_at < b.finished_at and b.started_at < a.finished_at
"""
# The most starts in any window that begins with one, beyond what the rate gives in it.
BURST = """
select max((select count(*) from jobs b where b.started_at between a.started_at and c.started_at)
    - :rate * extract(epoch from c.started_at - a.started_at))
from jobs a join jobs c on c.started_at >= a.started_at where a.unique_key like :those and c.unique_key like :those
"""


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway", "dispatcher")
    shared.start("relay", REELMILL_REPUBLISH_SECONDS="86400")  # nobody looks for wake-ups that were lost
    shared.start("analyzer", "analyzer.2", REELMILL_SLOTS=str(SLOTS // 2))
    return shared


@pytest.fixture(scope="module")
def file(system: System) -> str:
    return system.upload(b"hello")


@pytest.fixture(scope="module")
def database(system: System) -> Iterator[Engine]:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    yield engine
    engine.dispose()


def one(database: Engine, query: str, **values: Any) -> Any:
    with database.begin() as connection:
        return connection.execute(text(query), values).scalar_one()


def ask(system: System, file: str, seconds: int = 0, **terms: Any) -> str:
    return system.submit(KIND, {"file": file, "time": seconds}, **terms)


def all_done(system: System, database: Engine) -> None:
    # Up to two hundred, of which only four run at a time: on a very busy machine that takes minutes.
    unfinished = "select count(*) from jobs where finished_at is null"
    until(lambda: one(database, unfinished) == 0, "every job has ended", 5 * PATIENCE)


def test_the_highest_priority_is_next_and_the_first_within_it(system: System, file: str, database: Engine) -> None:
    busy = [ask(system, file, 600) for _ in range(SLOTS)]
    for job_id in busy:
        system.until_state(job_id, "running")
    low = [ask(system, file) for _ in range(30)]
    middle = [ask(system, file, priority=5) for _ in range(3)]
    high = ask(system, file, priority=9)
    unsent = "select count(*) from jobs where state = 'queued' and published_at is null"
    until(lambda: one(database, unsent) == 0, "all are published")
    system.http.post(f"/v1/jobs/{busy[0]}/cancel")
    for job_id in low:
        system.until_state(job_id, "succeeded")
    with database.begin() as connection:
        order = connection.execute(text("select id from jobs where state = 'succeeded' order by started_at")).scalars()
        mine = [str(job_id) for job_id in order if str(job_id) in {high, *middle, *low}]
    assert mine == [high, *middle, *low]
    for job_id in busy[1:]:
        system.http.post(f"/v1/jobs/{job_id}/cancel")
    all_done(system, database)


def test_of_one_key_never_two_run_at_once(system: System, file: str, database: Engine) -> None:
    for n in range(40):
        ask(system, file, key=f"serial-{n}", concurrency_key=f"key-{n % 5}")
    all_done(system, database)
    assert one(database, "select count(*) from jobs where state = 'succeeded' and unique_key like 'serial-%'") == 40
    assert one(database, OVERLAPS) == 0


def test_of_a_kind_never_more_run_at_once_than_the_operator_says(system: System, file: str, database: Engine) -> None:
    assert reelmill(system, "kinds", "limit", KIND, "--concurrency", "2").returncode == 0
    for n in range(20):
        ask(system, file, key=f"few-{n}", concurrency_key=f"few-{n}")
    all_done(system, database)
    at_once = """
        select max((select count(*) from jobs b where b.unique_key like 'few-%' and b.started_at <= a.started_at
            and b.finished_at > a.started_at))
        from jobs a where a.unique_key like 'few-%'
    """
    assert one(database, at_once) <= 2
    assert reelmill(system, "kinds", "limit", KIND, "--concurrency", "default").returncode == 0


def test_no_window_has_more_starts_than_the_rate_and_a_burst(system: System, file: str, database: Engine) -> None:
    rate = 20
    changed = system.http.patch(f"/v1/kinds/{KIND}", json={"starts_per_second": rate})
    assert changed.json()["starts_per_second"] == rate
    for n in range(60):
        ask(system, file, key=f"rate-{n}")
    all_done(system, database)
    assert one(database, BURST, rate=rate, those="rate-%") <= rate + 1
    assert system.http.patch(f"/v1/kinds/{KIND}", json={"starts_per_second": None}).json()["starts_per_second"] is None


@pytest.mark.row("X-04", "S1-22")
def test_in_a_crowd_of_priorities_keys_and_cancels_nobody_is_left_behind(
    system: System, file: str, database: Engine
) -> None:
    dice = random.Random(7)

    def one_of_many(n: int) -> None:
        key = f"crowd-{dice.randrange(8)}" if dice.random() < 0.5 else None
        job_id = ask(system, file, key=f"many-{n}", priority=dice.randrange(10), concurrency_key=key)
        if dice.random() < 0.2:
            # Who waits for too long for whoever has the job in hand is told to come again.
            while (answer := system.http.post(f"/v1/jobs/{job_id}/cancel")).status_code == 503:
                assert answer.json()["code"] == "busy", answer.text
            assert answer.status_code in {202, 409}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one_of_many, range(200)))
    all_done(system, database)
    assert one(database, "select count(*) from jobs where unique_key like 'many-%' and state = 'failed'") == 0
    assert one(database, OVERLAPS) == 0


@pytest.mark.parametrize("kind", [KIND, "probe.echo"])
def test_a_paused_kind_waits_and_then_goes_on(system: System, file: str, database: Engine, kind: str) -> None:
    params = {"file": file, "time": 0} if kind == KIND else {"text": "hello"}
    assert system.http.post(f"/v1/kinds/{kind}/pause").json()["paused"]
    waiting = [system.submit(kind, params) for _ in range(5)]
    held = "select count(*) from jobs where held = 'paused'"
    until(lambda: one(database, held) == 5, "all are put aside")
    assert {(job["state"], job["held"]) for job in map(system.job, waiting)} == {("queued", "paused")}
    assert system.http.post(f"/v1/jobs/{waiting[0]}/cancel").json()["state"] == "cancelled"
    assert not system.http.post(f"/v1/kinds/{kind}/resume").json()["paused"]
    for job_id in waiting[1:]:
        system.until_state(job_id, "succeeded")


def test_kinds_show_their_rules_and_who_changed_them(system: System) -> None:
    assert reelmill(system, "kinds", "pause", "split.video").returncode == 0
    kinds = {kind["name"]: kind for kind in system.http.get("/v1/kinds").json()["kinds"]}
    assert (kinds["split.video"]["paused"], kinds["split.video"]["changed_by"]) == (True, "test")
    assert kinds[KIND]["first_retry_seconds"] < kinds[KIND]["longest_retry_seconds"]
    assert kinds["probe.echo"]["lane"] == "fast"
    assert "paused" in reelmill(system, "kinds", "list").stdout
    assert reelmill(system, "kinds", "resume", "split.video").returncode == 0
    assert "paused" not in reelmill(system, "kinds", "list").stdout


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        (KIND, {"concurrency": 0}, 400, "invalid_parameter"),
        (KIND, {"concurrency": 2**40}, 400, "invalid_parameter"),
        (KIND, {"per_key": "many"}, 400, "invalid_parameter"),
        (KIND, {"starts_per_second": -1}, 400, "invalid_parameter"),
        (KIND, {"speed": 1}, 400, "invalid_parameter"),
        ("no.such", {}, 404, "unknown_kind"),
        ("probe.echo", {"concurrency": 1}, 409, "fast_lane"),
    ],
)
def test_limits_that_are_none_are_refused(
    system: System, kind: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = system.http.patch(f"/v1/kinds/{kind}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
