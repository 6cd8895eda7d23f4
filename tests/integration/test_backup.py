"""A backup of a running installation, restored on new servers: nothing is missing, and work goes on there."""

import hashlib
import random
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from infra import db, imports
from infra.cli.exits import Exit
from infra.stack import Stack
from infra.tables import metadata
from tests.bucket import Bucket
from tests.clips.factory import Clips, Recipe
from tests.conftest import new_environment
from tests.integration.lending import make
from tests.journey.test_cli import reelmill
from tests.system import System, until

#: What goes on by itself: leases of processes, sessions, the reading of facts.
LIVELY = {"event_marks", "backlogs", "sessions"}


def counted(database: str) -> dict[str, int]:
    engine = db.connect(database, pool=1)
    with engine.connect() as connection:
        found = {
            table: int(connection.execute(text(f"select count(*) from {table}")).scalar_one())
            for table in metadata.tables
            if table not in LIVELY
        }
    engine.dispose()
    return found


def hashes(environment: dict[str, str], keys: list[str]) -> dict[str, str]:
    bucket = Bucket(environment)
    return {key: hashlib.sha256(bucket.read(key)).hexdigest() for key in keys}


@pytest.mark.row("X-20")
def test_a_backup_is_restored_on_new_servers_and_work_goes_on(
    system: System, database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.start("gateway", "relay", "splitter", "dispatcher")
    monkeypatch.setattr(imports, "LARGE", 3)
    make(database, "c", ["a", "b", "c"])  # in a table of its own
    clip = system.upload(Clips(tmp_path).make(Recipe(frames=60)).read_bytes(), "clip.mp4")
    split = system.submit("split.video", {"file": clip, "rate": 5})
    system.until_state(split, "succeeded")
    begun = system.http.post("/v1/resumable", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
    assert begun.status_code == 201
    system.stop_one("splitter")
    waiting = system.submit("split.video", {"file": clip, "rate": 2})
    folder = tmp_path / "backup"
    # Taken while the gateway and the relay run; once more, with what is new alone.
    ours = system.environment
    first = reelmill(system, "backup", str(folder), **ours)
    assert first.returncode == Exit.OK, first.stderr
    system.upload(b"one more", "more.txt")
    until(lambda: _quiet(database), "every fact has gone out")
    again = reelmill(system, "backup", str(folder), **ours)
    assert again.returncode == Exit.OK, again.stderr
    assert "1 copied anew" in again.stderr
    system.stop_one("relay")
    before = counted(ours["REELMILL_DATABASE_URL"])

    with Stack(tmp_path / "other") as other:
        (tmp_path / "there").mkdir()
        amqp = other.endpoints.amqp.rpartition("/")[2] or "/"
        theirs = new_environment(other, other.endpoints.database, amqp, tmp_path / "there")
        back = reelmill(system, "restore", str(folder), **theirs)
        assert back.returncode == Exit.OK, back.stderr
        assert counted(theirs["REELMILL_DATABASE_URL"]) == before
        keys = sorted(Bucket(theirs).keys())
        assert keys == sorted(Bucket(ours).keys())
        some = random.Random(1).sample(keys, min(20, len(keys)))
        assert hashes(theirs, some) == hashes(ours, some)
        refused = reelmill(system, "restore", str(folder), **theirs)
        assert (refused.returncode, "not empty" in refused.stderr) == (2, True)
        # The token of the old installation opens the new one; what waited there is done here, and so is new work.
        (tmp_path / "logs").mkdir()
        there = System(theirs, system.token, tmp_path / "logs")
        try:
            there.start("gateway", "relay", "splitter", REELMILL_REPUBLISH_SECONDS="1")
            assert there.job(split)["result"] == system.job(split)["result"]
            assert there.http.get("/v1/collections/c/items/b").json()["state"] == "available"
            there.until_state(waiting, "succeeded")
            there.until_state(there.submit("split.video", {"file": clip, "rate": 4}), "succeeded")
        finally:
            there.stop()


def _quiet(database: Engine) -> bool:
    query = (
        "select count(*) from events where seq is null or seq > (select seq from event_marks where reader = 'exchange')"
    )
    with database.connect() as connection:
        return not connection.execute(text(query)).scalar_one()
