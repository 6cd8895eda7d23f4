"""Exports under blows: killed at any point, bad messages, writers at work, a poisoned row, servers that go away."""

import hashlib
import os
import pickle
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pika
import psutil
import pytest
from sqlalchemy import Engine, text

from infra import db
from infra.stack import Stack
from infra.topology import OLD_EXPORTS
from tests.broker import declare, publishing
from tests.chaos.play import settings_of
from tests.labelled import Annotations
from tests.outage import hang_up
from tests.system import System, until

FEATURES = [f"f{n}" for n in range(20)]
ROWS = 60_000
#: Twenty show no more than these do, and take minutes: `REELMILL_TEST_KILLS=20`.
KILLS = int(os.environ.get("REELMILL_TEST_KILLS", "6"))
SETTINGS = {"REELMILL_LEASE_SECONDS": "60", "REELMILL_SLOTS": "2"}
MODEL = {"classes": ["a", "b"], "coefficients": [[1.0] * 20], "intercepts": [0.0]}


@pytest.fixture(scope="module", name="system")
def running(shared: System) -> System:
    declare(settings_of(shared))
    shared.start("gateway", "relay", "exporter", **SETTINGS)
    return shared


@pytest.fixture(scope="module")
def engine(system: System) -> Iterator[Engine]:
    opened = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=2, idle_seconds=3600)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def large(system: System, engine: Engine) -> Annotations:
    """A project whose export takes a moment."""
    project = Annotations(system, "large", features=FEATURES, labels=["a", "b"])
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into datapoints (project, dimension, key, vector, label)"
                " select 'large', 20, 'k' || n, (select array_agg(sin(n * f)) from generate_series(1, 20) f),"
                " case when n % 10 = 0 then 'a' end from generate_series(1, :rows) n"
            ),
            {"rows": ROWS},
        )
    return project


def publish(system: System, *bodies: bytes) -> None:
    """Ask as the old API did, confirmed."""
    with publishing(system.environment["REELMILL_AMQP_URL"]) as channel:
        for body in bodies:
            channel.basic_publish("", OLD_EXPORTS, body, pika.BasicProperties(delivery_mode=2))


def exports_of(project: Annotations, number: int) -> list[dict[str, Any]]:
    return list(project.http.get(f"/v1/classifiers/{number}/exports").json()["exports"])


@pytest.mark.row("S4-01", "S4-02")
def test_old_messages_wait_for_the_exporter_and_bad_ones_stop_nobody(system: System) -> None:
    project = Annotations(system, "old", labels=["a", "b"])
    number = project.classifier()
    system.stop_one("exporter")
    bad = (b"clf-", b"clf-abc", b"xyz", b"", b"clf-0", b"x" * 10 * 1024 * 1024, bytes(range(256)))
    publish(system, *bad, f"clf-{number}".encode())
    system.start("exporter", **SETTINGS)
    [view] = until(lambda: exports_of(project, number), "the old message has become a job")
    view = project.until_ended(view["export_id"])
    assert (view["state"], view["status"]) == ("succeeded", 2)
    assert project.fetch(view).manifest()["classifier"] == number
    parked = until(lambda: _all_parked(system, len(bad)), "the bad messages are recorded")
    assert {each["queue"] for each in parked} == {"reelmill.exporter"}
    publish(system, b"clf-2000000000")
    error = until(lambda: _error_of(system, 2_000_000_000), "a classifier that does not exist fails its job")
    assert error["code"] == "unknown_classifier"


def _all_parked(system: System, number: int) -> list[dict[str, Any]] | None:
    found = system.http.get("/v1/parked").json()["messages"]
    return list(found) if len({each["size"] for each in found}) == number else None


def _error_of(system: System, classifier: int) -> dict[str, Any] | None:
    found = system.http.get("/v1/jobs", params={"kind": "export.labels", "state": "failed"}).json()["jobs"]
    jobs = (system.job(each["id"]) for each in found)
    return next((job["error"] for job in jobs if job["params"]["classifier"] == classifier), None)


@pytest.mark.row("S4-03", "S4-12")
def test_killed_at_random_points_every_export_ends_with_one_archive(
    system: System, large: Annotations, engine: Engine
) -> None:
    with engine.connect() as connection:
        unlabelled = "select count(*) from datapoints where project = 'large' and label is null"
        rows = connection.execute(text(unlabelled)).scalar_one()
    dice = random.Random(4)
    struck, exports = 0, []
    while struck < KILLS:
        pair = [large.request(large.classifier(MODEL)) for _ in range(2)]
        exports += pair
        struck += _strike(system, pair, dice)
    for view in exports:
        large.until_ended(view["export_id"])
    manifests = []
    for view in exports:
        ended = large.http.get(view["links"]["self"]).json()
        assert (ended["state"], ended["status"], ended["progress"]) == ("succeeded", 2, 100), ended
        manifests.append(large.fetch(ended).manifest())
        listed = large.http.get(f"/v1/jobs/{view['export_id']}/outputs").json()["outputs"]
        assert [each["name"] for each in listed] == [f"data-{ended['clfId']}.zip"]
    assert {told["rows"]["machine"] for told in manifests} == {rows}
    machine = [told["members"][0] for told in manifests]
    assert len({(each["size"], each["sha256"]) for each in machine}) == 1
    assert sum(system.job(view["export_id"])["attempt"] for view in exports) > len(exports)


def _strike(system: System, pair: list[dict[str, Any]], dice: random.Random) -> int:
    """Wait until both run, and then for a while; kill what works. How many of them it has hit."""

    def running() -> bool:
        states = [system.job(view["export_id"])["state"] for view in pair]
        return not {"queued", "scheduled"}.intersection(states)

    until(running, "both exports run")
    for _ in range(dice.randrange(12)):
        running()
    hit = [system.job(view["export_id"])["state"] for view in pair].count("running")
    if dice.random() < 0.8:
        for child in system.children("exporter"):
            with suppress(psutil.NoSuchProcess):  # one that has grown fat is replaced
                child.kill()
    else:
        system.kill("exporter")
        system.lapse()
        system.start("exporter", **SETTINGS)
    return hit


def _beyond(system: System, job_id: str, progress: float) -> dict[str, Any] | None:
    job = system.job(job_id)
    running = job["state"] == "running" and job["progress"] >= progress
    return job if running or job["state"] == "succeeded" else None


@pytest.mark.row("S4-13")
def test_a_label_that_arrives_meanwhile_is_in_one_file(system: System, large: Annotations, engine: Engine) -> None:
    number = large.classifier(MODEL)
    stop = threading.Event()
    said: list[int] = []

    def label() -> None:
        while not stop.is_set():
            with engine.begin() as connection:
                told = connection.execute(
                    text(
                        "update datapoints set label = 'b', votes = 1 where id in (select id from datapoints"
                        " where project = 'large' and label is null order by random() limit 50)"
                    )
                )
            said.append(told.rowcount)

    writer = threading.Thread(target=label)
    writer.start()
    try:
        counts = []
        for _ in range(2):
            archive = large.export(number)
            machine = archive.table(f"machine_labeled_data_{number}.json")["text_id"]
            human = archive.table("human_labeled_data.json")["text_id"]
            assert len(machine) + len(human) == len(set(machine) | set(human)) == ROWS
            counts.append(len(human))
            before = len(said)
            until(lambda: len(said) > before, "another label has arrived")  # noqa: B023 - it is asked at once
    finally:
        stop.set()
        writer.join()
    assert counts[0] < counts[1]


class Bomb:
    """Does something when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.row("S4-09")
def test_a_pickle_in_the_database_is_never_loaded(system: System, engine: Engine, tmp_path: Path) -> None:
    project = Annotations(system, "poisoned", labels=["a", "b"])
    number, honest = project.classifier(), project.classifier()
    trap = tmp_path / "sprung"
    poison = pickle.dumps(Bomb(trap))
    with engine.begin() as connection:
        terms = {"poison": poison, "sha256": hashlib.sha256(poison).hexdigest(), "id": number}
        connection.execute(text("update classifiers set parameters = :poison, sha256 = :sha256 where id = :id"), terms)
        connection.execute(text("update classifiers set parameters = '{}' where id = :id"), {"id": honest})
    for classifier in (number, honest):
        view = project.until_ended(project.request(classifier)["export_id"])
        assert (view["status"], view["error"]["code"]) == (3, "unsafe_model")
        answer = project.http.get("/api/monitor/download", params={"clfId": classifier})
        assert (answer.status_code, answer.json()["reason"]) == (409, "unsafe_model")
    assert not trap.exists()
    pickle.loads(poison)
    assert trap.exists()  # it would have been heard


@pytest.mark.row("S4-24")
def test_servers_go_away_in_the_middle_of_an_export(
    system: System, large: Annotations, stack: Stack, admin: Engine, engine: Engine
) -> None:
    number = large.classifier(MODEL)
    view = large.request(number)
    until(lambda: _beyond(system, view["export_id"], 5), "the export runs")
    stack.rabbitmqctl("stop_app")
    hang_up(admin, str(engine.url.database))
    stack.rabbitmqctl("start_app")
    ended = until(lambda: _settled(large, view), "the export ends")
    assert ended["state"] == "succeeded"
    assert large.fetch(ended).manifest()["rows"]["machine"] > 0


@pytest.mark.row("S4-24")
def test_a_copy_that_breaks_costs_an_attempt_and_one_that_nobody_needs_is_broken_off(
    system: System, large: Annotations, engine: Engine
) -> None:
    number, poisoned = large.classifier(MODEL), large.classifier(MODEL)
    with engine.begin() as connection:
        connection.execute(text("update classifiers set parameters = '{}' where id = :id"), {"id": poisoned})
    with engine.connect() as blocker:
        blocker.execute(text("lock table votes in access exclusive mode"))
        view = large.request(number)
        pid = until(lambda: _waiting(engine), "the copying waits for votes")
        refused = large.until_ended(large.request(poisoned)["export_id"])
        assert refused["error"]["code"] == "unsafe_model"
        assert _waiting(engine) == pid  # and nobody else
        with engine.begin() as connection:
            connection.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
    ended = large.until_ended(view["export_id"])
    assert ended["state"] == "succeeded", ended
    assert large.fetch(ended).manifest()["rows"]["machine"] > 0
    assert system.job(view["export_id"])["attempt"] == 2


def _waiting(engine: Engine) -> int | None:
    with engine.begin() as connection:
        found = "select pid from pg_stat_activity where query like 'copy%' and wait_event_type = 'Lock'"
        pids = connection.execute(text(found)).scalars().all()
    assert len(pids) < 2
    return int(pids[0]) if pids else None


def _settled(project: Annotations, view: dict[str, Any]) -> dict[str, Any] | None:
    answer = project.http.get(view["links"]["self"])
    told = answer.json() if answer.is_success else {}
    return told if told.get("state") in {"succeeded", "failed"} else None


@pytest.mark.row("S4-23")
def test_an_old_export_goes_with_its_archive(system: System, engine: Engine) -> None:
    project = Annotations(system, "kept", labels=["a", "b"])
    number = project.classifier()
    view = project.until_ended(project.request(number)["export_id"])
    assert view["expires_at"] > view["finished_at"]
    with engine.connect() as connection:
        named = "select object_key from blobs where sha256 = :sha256"
        [key] = connection.execute(text(named), {"sha256": view["sha256"]}).scalars()
    system.stop_one("relay")
    system.start("relay", REELMILL_EXPORT_SECONDS="1")
    until(lambda: exports_of(project, number) == [], "the export is gone")
    system.stop_one("relay")
    system.start("relay", **SETTINGS)  # for others, exports stay
    assert project.http.get("/api/monitor/download", params={"clfId": number}).status_code == 404
    assert project.http.get(view["links"]["content"]).status_code == 404
    with engine.connect() as connection:
        known = "select count(*) from blobs where object_key = :key"
        assert connection.execute(text(known), {"key": key}).scalar() == 0
