"""What is old goes, what is in use stays, and nobody keeps more than he may."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from infra import db, tokens
from infra.cli.exits import Exit
from infra.tokens import Role
from tests.bucket import Bucket
from tests.journey.test_cli import reelmill
from tests.system import System, local_client, served, until

HOUR = 3600
OLDER = (
    "update jobs set finished_at = finished_at - interval '2 hours' where finished_at is not null",
    "update files set created_at = created_at - interval '2 hours'",
)


@pytest.fixture(scope="module")
def system(shared: System) -> System:
    shared.start("gateway", "relay", "analyzer")
    return shared


@pytest.fixture
def empty(system: System) -> System:
    """The same with nothing of earlier tests in it."""
    for state in ("queued", "running"):
        for job in system.http.get("/v1/jobs", params={"state": state}).json()["jobs"]:
            system.http.post(f"/v1/jobs/{job['id']}/cancel")
            system.until_state(job["id"], "cancelled")
    assert system.http.post("/v1/clean-up", json={"job_seconds": 0.001, "file_seconds": 0.001}).is_success
    until(lambda: not Bucket(system.environment).keys(), "the objects are gone")
    return system


@pytest.fixture(scope="module")
def rows(system: System) -> Iterator[Engine]:
    engine = db.connect(system.environment["REELMILL_DATABASE_URL"], pool=1)
    yield engine
    engine.dispose()


@pytest.mark.row("S1-23")
def test_clean_up_takes_what_is_old_and_leaves_what_is_in_use(empty: System, rows: Engine) -> None:
    system = empty
    read, held, unread = (system.upload(word) for word in (b"read long ago", b"in use", b"never read"))
    done = system.submit("analyze.sleep", {"file": read, "time": 0})
    csv = system.until_state(done, "succeeded")["result"]["csv_file"]
    live = system.submit("analyze.sleep", {"file": held, "time": 600})
    system.until_state(live, "running")
    with rows.begin() as connection:
        for older in OLDER:
            connection.execute(text(older))
    young = system.upload(b"young")

    def clean_up(**terms: Any) -> dict[str, Any]:
        answer = served(lambda: system.http.post("/v1/clean-up", json=terms))
        assert answer.is_success, answer.text
        return dict(answer.json())

    def there(*files: str) -> list[bool]:
        return [system.http.get(f"/v1/files/{file}/content").is_success for file in files]

    terms = {"job_seconds": HOUR, "file_seconds": HOUR}
    assert clean_up()["jobs"] == 0, "as the settings say, nothing is old"
    would = clean_up(dry_run=True, **terms)
    size = len(b"sleep,0\n") + len(b"read long ago") + len(b"never read")
    assert (would["jobs"], would["files"], would["bytes"], would["more"]) == (1, 2, size, False)
    assert there(csv, read, held, unread, young) == [True] * 5
    told = reelmill(system, "clean-up", "--dry-run", "--job-seconds", "3600", "--file-seconds", "3600")
    assert (told.returncode, told.stdout[:16]) == (Exit.OK, "1 jobs, 2 files,")
    # Whoever cleans up at the same time finds nothing left: it is done once.
    with ThreadPoolExecutor(3) as at_once:
        runs = list(at_once.map(lambda _: clean_up(**terms), range(3)))
    assert [sum(run[name] for run in runs) for name in ("jobs", "files", "bytes")] == [1, 2, size]
    assert there(csv, read, held, unread, young) == [False, False, True, False, True]
    assert system.http.get(f"/v1/jobs/{done}").status_code == 404
    assert system.http.get(f"/v1/jobs/{live}").json()["state"] == "running"
    bucket = Bucket(system.environment)
    until(lambda: len(bucket.keys()) == 2, "the objects are gone")
    system.http.post(f"/v1/jobs/{live}/cancel")
    for bad in ({"job_seconds": -1}, {"kinds": {"x": 1}}, {"kinds": {"analyze.sleep": -1}}, {"x": 1}, {"dry_run": 3}):
        assert system.http.post("/v1/clean-up", json=bad).status_code == 400, bad


@pytest.mark.row("S1-23")
def test_a_store_that_is_too_full_loses_the_oldest_results_first(empty: System) -> None:
    system = empty
    file = system.upload(b"wanted by three")
    # One after another: of jobs that run at once, none needs to end in the order in which they came.
    jobs = []
    for seconds in (0, 1, 2):
        jobs.append(system.submit("analyze.sleep", {"file": file, "time": seconds}))
        system.until_state(jobs[-1], "succeeded")
    kept = system.http.post("/v1/clean-up", json={"dry_run": True}).json()["stored_bytes"]
    done = system.http.post("/v1/clean-up", json={"storage_limit": kept - 1}).json()
    assert (done["jobs"], done["files"], done["stored_bytes"]) == (1, 0, kept - len("sleep,0\n"))
    gone, *rest = (system.http.get(f"/v1/jobs/{job}").status_code for job in jobs)
    assert (gone, rest) == (404, [200, 200])
    aged = system.http.post("/v1/clean-up", json={"kinds": {"analyze.sleep": 0.001, "split.video": 0}}).json()
    assert (aged["jobs"], aged["files"]) == (2, 0)
    assert system.http.get(f"/v1/files/{file}").is_success


@pytest.mark.row("S1-25")
def test_nobody_keeps_more_than_he_may(system: System, rows: Engine) -> None:
    with rows.begin() as connection:
        secret = tokens.create(connection, "small", [Role.PRODUCER], storage_bytes=100)
    with local_client(system.url, secret) as small:

        def put(content: bytes) -> httpx.Response:
            return served(lambda: small.post("/v1/files", content=content))

        first = put(b"a" * 60)
        assert (first.status_code, put(b"a" * 60).status_code) == (201, 200), "the same bytes are kept once"
        refused = put(b"b" * 41)
        assert (refused.status_code, refused.json()["code"]) == (413, "storage_quota_exceeded")
        old = small.post("/file", files={"file": ("b.txt", b"b" * 41)})
        assert (old.status_code, old.json()["success"], old.json()["code"]) == (413, False, "storage_quota_exceeded")
        pieces = {"Tus-Resumable": "1.0.0", "Upload-Length": "41"}
        assert small.post("/v1/resumable", headers=pieces).json()["code"] == "storage_quota_exceeded"
        with ThreadPoolExecutor(4) as at_once:
            several = list(at_once.map(put, (letter * 30 for letter in (b"c", b"d", b"e", b"f"))))
        assert sorted(answer.status_code for answer in several) == [201, 413, 413, 413]
        assert small.delete(f"/v1/files/{first.json()['sha256']}").status_code == 204
        assert put(b"b" * 41).status_code == 201
    assert system.upload(b"g" * 200), "whoever has no quota"
