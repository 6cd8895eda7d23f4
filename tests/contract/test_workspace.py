"""What every workspace promises to a handler: the real one, and the one in memory that handlers are tested with."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Engine, text

from consumers.artifacts import Artifact, Step
from consumers.outcome import Fenced, Rejected
from consumers.ports import Workspace
from consumers.runtime.workspace import StoredWorkspace
from infra import claims, submission
from infra.settings import Settings
from tests.clips.memory_workspace import MemoryJob
from tests.desk import Desk
from tests.makers import new_command

CONTENT = b"the input"
FILE = hashlib.sha256(CONTENT).hexdigest()


class Case(Protocol):
    """A job with one input, seen from outside."""

    def attempt(self) -> Workspace:
        """A new attempt; earlier ones have lost their claim."""

    def content(self, artifact: Artifact) -> bytes:
        """The bytes that were stored."""


class InMemory:
    def __init__(self, folder: Path) -> None:
        (folder / "source").write_bytes(CONTENT)
        self._folder = folder
        self._job = MemoryJob({FILE: folder / "source"})

    def attempt(self) -> Workspace:
        return self._job.attempt(self._folder)

    def content(self, artifact: Artifact) -> bytes:
        return self._job.objects[artifact.object_key]


class Real:
    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._folder = folder
        self._command = new_command(desk.file(CONTENT))
        self._attempts = 0
        with desk.engine.begin() as connection:
            submission.submit(connection, [self._command])

    def attempt(self) -> Workspace:
        self._attempts += 1
        scratch = self._folder / f"attempt-{self._attempts}"
        scratch.mkdir()
        with self._desk.engine.begin() as connection:
            connection.execute(text("update jobs set lease_until = '-infinity' where state = 'running'"))
            claims.rescue(connection, 1)
            claim = claims.claim(connection, self._command.id, "test", 30)
        assert claim is not None
        return StoredWorkspace(claim, scratch, self._desk.engine, self._desk.storage)

    def content(self, artifact: Artifact) -> bytes:
        with self._desk.storage.open(artifact.object_key) as chunks:
            return b"".join(chunks)


@pytest.fixture(params=["memory", "real"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    if request.param == "memory":
        return InMemory(tmp_path)
    settings: Settings = request.getfixturevalue("settings")
    database: Engine = request.getfixturevalue("database")
    return Real(Desk(settings, database), tmp_path)


def test_scratch_is_empty_at_first_and_each_attempts_own(case: Case) -> None:
    first = case.attempt().scratch
    assert list(first.iterdir()) == []
    (first / "x").touch()
    assert list(case.attempt().scratch.iterdir()) == []


def test_an_input_is_a_file_with_its_bytes(case: Case) -> None:
    workspace = case.attempt()
    path = workspace.input(FILE)
    assert path.read_bytes() == CONTENT
    assert workspace.input(FILE) == path


def test_what_is_no_input_of_the_job_is_refused(case: Case) -> None:
    with pytest.raises(Rejected) as refused:
        case.attempt().input("0" * 64)
    assert refused.value.code == "unknown_file"


@pytest.mark.parametrize("source", [b"", b"some bytes", Path])
def test_what_is_stored_is_described_and_can_be_read(case: Case, source: bytes | Callable[[str], Path]) -> None:
    workspace = case.attempt()
    data = source if isinstance(source, bytes) else b"from a file"
    given: Path | bytes = data
    if not isinstance(source, bytes):
        given = workspace.scratch / "made"
        given.write_bytes(data)
    artifact = workspace.store("tasks/task-0000.mp4", given, "video/mp4")
    assert artifact.name == "tasks/task-0000.mp4"
    assert artifact.content_type == "video/mp4"
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert artifact.sha1 == hashlib.sha1(data).hexdigest()
    assert artifact.size == len(data)
    assert case.content(artifact) == data


def test_many_threads_may_store_at_once(case: Case) -> None:
    workspace = case.attempt()

    def store(number: int) -> Artifact:
        return workspace.store(f"frames/{number}.jpg", f"frame {number // 2}".encode(), "image/jpeg")

    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(store, range(40)))
    assert [artifact.name for artifact in stored] == [f"frames/{number}.jpg" for number in range(40)]
    assert [case.content(artifact) for artifact in stored] == [f"frame {n // 2}".encode() for n in range(40)]


def test_checkpoints_are_there_for_the_next_attempt_in_order(case: Case) -> None:
    first = case.attempt()
    assert first.checkpoints() == []
    for ordinal in (1, 0):
        made = first.store(f"part-{ordinal}", f"part {ordinal}".encode(), "text/plain")
        first.checkpoint(Step(f"part-{ordinal}", ordinal, {"ordinal": ordinal, "deep": [1, {"x": None}]}, (made,)))
    found = case.attempt().checkpoints()
    assert [(step.name, step.ordinal) for step in found] == [("part-0", 0), ("part-1", 1)]
    for step in found:
        [artifact] = step.artifacts
        assert step.record == {"ordinal": step.ordinal, "deep": [1, {"x": None}]}
        assert artifact.name == step.name
        assert artifact.content_type == "text/plain"
        assert case.content(artifact) == f"part {step.ordinal}".encode()


def test_a_checkpoint_after_the_claim_is_lost_is_refused_and_leaves_nothing(case: Case) -> None:
    zombie, heir = case.attempt(), case.attempt()
    made = zombie.store("part-0", b"from the zombie", "text/plain")
    with pytest.raises(Fenced):
        zombie.checkpoint(Step("part-0", 0, {}, (made,)))
    assert heir.checkpoints() == []


def test_progress_may_be_told_at_any_time(case: Case) -> None:
    workspace = case.attempt()
    case.attempt()
    for percent in (0.0, 12.5, 100.0):
        workspace.progress(percent)
