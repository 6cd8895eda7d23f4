"""What a home started is known again after a crash, and nothing else is ever ended."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.stack import processes, termination
from infra.stack.processes import MARK, Process, ProcessRecord, Program
from tests.system import PATIENCE, until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); sys.stdin.read(); "
    "import time; time.sleep(600)",
    *SLEEP,
]


@pytest.fixture
def record(tmp_path: Path) -> ProcessRecord:
    return ProcessRecord(tmp_path, "mark-of-" + tmp_path.name)


@pytest.fixture
def foreign() -> Iterator[psutil.Popen]:
    """A process that no record has started."""
    process = psutil.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def _said(process: Process) -> str:
    """The first line that a process writes."""
    return until(process.tail, f"{process.program.name} says something").splitlines()[0]


def test_a_process_ends_when_asked(record: ProcessRecord) -> None:
    process = record.spawn(Program("sleeper", SLEEP, {}, grace=PATIENCE))
    assert record.running() == [process]
    process.stop()
    assert process.exit_code() == -15
    assert record.running() == []


def test_a_process_that_does_not_listen_is_killed(record: ProcessRecord) -> None:
    process = record.spawn(Program("stubborn", STUBBORN, {}, grace=0.1))
    assert _said(process) == "deaf"
    process.stop()
    assert process.exit_code() == -9


@pytest.mark.parametrize("end", [Process.stop, Process.kill])
def test_children_end_with_their_parent(record: ProcessRecord, end: object) -> None:
    process = record.spawn(Program("parent", PARENT, {}))
    child = psutil.Process(int(_said(process)))
    assert callable(end)
    end(process)
    assert not termination.alive(child)


def test_what_a_crash_left_is_ended(record: ProcessRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LEFT_SECONDS", PATIENCE)  # it ends by itself, however late
    left = record.spawn(Program("left", SLEEP, {}))
    assert ProcessRecord(tmp_path, "another mark").reap() == ["left"]
    assert left.popen.wait() == -15
    assert not (tmp_path / "processes.json").exists()


def test_what_was_started_but_not_recorded_is_ended(record: ProcessRecord) -> None:
    program = "import time; print('up', flush=True); time.sleep(600)"
    stray = psutil.Popen([sys.executable, "-c", program], env={MARK: record.mark}, stdout=subprocess.PIPE)
    # Its environment can be read once it runs; Popen returns a moment earlier.
    assert stray.stdout.readline() == b"up\n"
    assert record.reap() == [f"stray {stray.pid}"]
    assert stray.wait() == -9
    stray.stdout.close()


def test_a_stale_entry_that_names_a_foreign_process_ends_nobody(
    record: ProcessRecord, foreign: psutil.Popen, tmp_path: Path
) -> None:
    record.spawn(Program("gone", SLEEP, {})).kill()
    file = tmp_path / "processes.json"
    entries = json.loads(file.read_text())
    file.write_text(json.dumps([{**entry, "pid": foreign.pid, "created": entry["created"] - 60} for entry in entries]))
    assert record.reap() == []
    assert foreign.poll() is None


def test_a_program_that_does_not_exist_is_refused(record: ProcessRecord) -> None:
    with pytest.raises(FileNotFoundError):
        record.spawn(Program("nobody", ["/nonexistent"], {}))
    assert record.running() == []


def test_the_environment_is_the_given_one_and_the_mark(record: ProcessRecord) -> None:
    process = record.spawn(Program("env", ["/usr/bin/env"], {"A": "b"}))
    process.popen.wait()
    assert sorted(process.tail().splitlines()) == ["A=b", f"{MARK}={record.mark}"]


def test_a_zombie_is_not_alive() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(ended.pid)
    assert termination.await_end([process], seconds=PATIENCE) == []
    assert process.is_running()
    assert not termination.alive_number(ended.pid)
    ended.wait()
