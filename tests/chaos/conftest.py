"""Consumers with a wire in them, and jobs that last until the test lets them end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cli.local import COMMANDS
from tests.chaos import gate
from tests.system import System

TOLD = "consumers.runtime.tally:ended"
Rig = Callable[..., str]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Makes a name under which a consumer with a wire can be started."""

    def rigged(name: str, signal_name: str, moment: str, where: str, consumer: str, *handlers: str) -> str:
        command = ("-m", "tests.chaos.tripwire", signal_name, moment, where, consumer, *handlers)
        monkeypatch.setitem(COMMANDS, name, command)
        return name

    return rigged


@pytest.fixture
def opening(system: System, rig: Rig, tmp_path: Path) -> Path:
    """A file: no job of an analyzer that is started in this test ends before it is there."""
    rig("analyzer", "SIGCONT", "before", TOLD, "analyzer", gate.HANDLER)  # a signal that does nothing
    path = tmp_path / "open"
    system.environment[gate.VARIABLE] = str(path)
    return path


def connections(system: System, name: str, queue: str) -> int:
    """How often a process has connected for one queue. A dispatcher connects for leases as well."""
    return sum("broker.connected" in line and queue in line for line in system.log(name).splitlines())
