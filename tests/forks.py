"""Processes of the system, forked from one that has imported all of it: each starts in a tenth of the time.

What runs is `python -m <module>`, or `reelmill`, all the same: a process of its own with its own environment, output
and signals. The ways a user starts them (`reelmill up`, the demo) are tested as they are.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

MODULES = ("gateway", "consumers", "infra.relay")
COMMAND = "infra.cli.app"
PATIENCE = 120.0
BEFORE = ("LD_PRELOAD", "PYTHONPATH")
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([*(f"{module}.__main__" for module in MODULES), COMMAND])


class Fork:
    """A started process, with what `subprocess.Popen` has of it."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = int(process.pid or 0)

    @property
    def returncode(self) -> int | None:
        """Its exit status; the negative number of a signal that killed it; None as long as it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same, looked up now."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def launch(command: Sequence[str], environment: Mapping[str, str], log: Path) -> "Fork | subprocess.Popen[bytes]":
    """Start `python *command`. What none of the modules is, is started as ever."""
    if command[0] != "-m" or command[1] not in MODULES or _begins_differently(environment):
        return popen(command, environment, log)
    log.touch()
    process = _CONTEXT.Process(target=_become, args=(tuple(command[1:]), dict(environment), str(log)), daemon=False)
    process.start()
    return Fork(process)


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `reelmill *arguments` without a terminal. Raises subprocess.TimeoutExpired."""
    with TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("stdout", "stderr")]
        given = (tuple(arguments), dict(environment), [str(path) for path in streams], str(Path.cwd()))
        process = _CONTEXT.Process(target=_command, args=given, daemon=False)
        process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(["reelmill", *arguments], PATIENCE)
        out, err = (path.read_text() for path in streams)
    return subprocess.CompletedProcess(arguments, process.exitcode, out, err)


def _begins_differently(environment: Mapping[str, str]) -> bool:
    """Whether something is to happen before the first line of a process: a fork is past it."""
    return any(environment.get(name) != os.environ.get(name) for name in BEFORE)


def popen(command: Sequence[str], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start `python *command` with an interpreter of its own."""
    with log.open("ab") as file:
        return subprocess.Popen([sys.executable, *command], env=environment, stdout=file, stderr=file)


def _become(command: tuple[str, ...], environment: dict[str, str], log: str) -> None:
    """In the fork: be `python -m module *arguments`."""
    _dress(environment, [log, log])
    module, *arguments = command
    sys.argv = [module, *arguments]
    sys.modules.pop(f"{module}.__main__", None)  # it is run, not imported
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _command(arguments: tuple[str, ...], environment: dict[str, str], streams: list[str], folder: str) -> None:
    """In the fork: be `reelmill *arguments`."""
    _dress(environment, streams)
    os.chdir(folder)
    sys.argv = ["reelmill", *arguments]
    sys.modules[COMMAND].main()


def _dress(environment: dict[str, str], streams: Sequence[str]) -> None:
    """With an environment of its own, writing to these files."""
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in enumerate(streams, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
