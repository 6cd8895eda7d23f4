"""The real workspace when what it stands on is damaged or away."""

import threading
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from consumers.artifacts import Step
from consumers.outcome import JobError
from consumers.runtime.workspace import StoredWorkspace
from infra import claims, jobs
from infra.settings import Settings
from tests.desk import Desk
from tests.makers import new_command
from tests.outage import cut_off
from tests.system import PATIENCE, until


@pytest.fixture
def desk(settings: Settings, database: Engine) -> Desk:
    return Desk(settings, database)


@pytest.fixture
def job_id(desk: Desk) -> UUID:
    command = new_command(desk.file(b"the input"))
    desk.commit(command)
    return command.id


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(desk: Desk, job_id: UUID, tmp_path: Path, clock: Clock) -> StoredWorkspace:
    with desk.engine.begin() as connection:
        claim = claims.claim(connection, job_id, "test", 30)
    assert claim is not None
    (tmp_path / "attempt").mkdir()
    return StoredWorkspace(claim, tmp_path / "attempt", desk.engine, desk.storage, clock)


def input_of(desk: Desk, job_id: UUID) -> tuple[str, str]:
    """The hash and the object key of the job's input."""
    with desk.engine.begin() as connection:
        row = connection.execute(
            text("select sha256, object_key from job_inputs join blobs using (sha256) where job_id = :id"),
            {"id": job_id},
        ).one()
    return row.sha256, row.object_key


def test_damaged_and_missing_inputs_are_named(workspace: StoredWorkspace, desk: Desk, job_id: UUID) -> None:
    sha256, key = input_of(desk, job_id)
    desk.storage.put_bytes(key, b"other bytes", "text/plain")
    with pytest.raises(JobError) as damaged:
        workspace.input(sha256)
    desk.storage.remove([key])
    with pytest.raises(JobError) as missing:
        workspace.input(sha256)
    assert (damaged.value.code, missing.value.code) == ("object_corrupt", "object_missing")
    assert list(workspace.scratch.iterdir()) == []


def test_bytes_that_the_job_has_stored_are_not_sent_again(workspace: StoredWorkspace, desk: Desk) -> None:
    first = workspace.store("a", b"same", "text/plain")
    second = workspace.store("b", b"same", "text/plain")
    assert first.object_key == second.object_key
    workspace.checkpoint(Step("s", 0, {}, (first, second)))
    assert len(list(desk.storage.keys("jobs/", -60))) == 1


def test_only_the_latest_objects_are_known(
    workspace: StoredWorkspace, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.runtime.workspace.KNOWN_OBJECTS", 3)
    first = [workspace.store(f"first-{n}", f"{n}".encode(), "text/plain") for n in range(5)]
    again = [workspace.store(f"again-{n}", f"{n}".encode(), "text/plain") for n in (2, 0, 1, 2)]
    assert again[0].object_key == first[2].object_key
    assert [a.object_key.rpartition("/")[2] for a in again[1:]] == ["again-0", "again-1", "first-2"]
    assert {a.sha256 for a in again} == {a.sha256 for a in first[:3]}


def test_what_an_earlier_attempt_made_takes_no_room(workspace: StoredWorkspace) -> None:
    made = [workspace.store(f"{n}", f"{n}".encode(), "text/plain") for n in range(3)]
    workspace.checkpoint(Step("s", 0, {}, tuple(made)))
    inside = vars(workspace)
    heir = StoredWorkspace(inside["_claim"], workspace.scratch, inside["_engine"], inside["_storage"])
    assert [a.name for step in heir.checkpoints() for a in step.artifacts] == ["0", "1", "2"]
    assert len(vars(heir)["_known"]) == 0


def test_progress_is_written_at_most_twice_a_second(
    workspace: StoredWorkspace, desk: Desk, job_id: UUID, clock: Clock
) -> None:
    for percent in range(1, 31):
        workspace.progress(percent)
        clock.now += 0.125
    with desk.engine.begin() as connection:
        told = [f for f in jobs.timeline(connection, job_id) if f["type"].endswith(".progress")]
    assert [f["data"]["progress"] for f in told] == [1, 5, 9, 13, 17, 21, 25, 29]


def test_a_checkpoint_waits_for_the_database(
    workspace: StoredWorkspace, desk: Desk, database: Engine, admin: Engine
) -> None:
    step = Step("s", 0, {}, (workspace.store("a", b"made", "text/plain"),))
    committing = threading.Thread(target=workspace.checkpoint, args=(step,))
    with capture_logs() as said:
        with cut_off(admin, database):
            committing.start()
            until(lambda: [line for line in said if line["action"] == "workspace.waiting"], "it waits")
        committing.join(PATIENCE)
    assert [kept.name for kept in workspace.checkpoints()] == ["s"]
