"""Every process that a home starts, on record from its first moment, so that the next start finds what a crash left.

A process is known again by its number and the moment it was created, never by its number alone: numbers are reused.
What it started itself is known by a mark in its environment. Nothing else is ever signalled.
"""

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from pwd import struct_passwd
from signal import SIGTERM, Signals

import psutil
from pydantic import BaseModel, TypeAdapter

from infra.stack import private, termination

MARK = "REELMILL_STACK"
#: Two readings of one process's creation differ by the clock's corrections only.
_SAME_MOMENT = 2.0
#: What a crash left has nobody to finish its work for: it is not given the time that it would get in peace.
LEFT_SECONDS = 3.0
_LOG_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Program:
    """What to run. `env` is the whole environment; `grace` is how many seconds it may take to end when asked."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    cwd: Path | None = None
    account: struct_passwd | None = None
    stop_signal: Signals = SIGTERM
    grace: float = 10.0


class _Entry(BaseModel):
    name: str
    pid: int
    created: float
    stop_signal: Signals

    def process(self) -> psutil.Process | None:
        """The live process that this entry is about, if it still runs."""
        try:
            process = psutil.Process(self.pid)
            return process if abs(process.create_time() - self.created) < _SAME_MOMENT else None
        except psutil.NoSuchProcess:
            return None


_Entries = TypeAdapter(list[_Entry])


class Process:
    """A running program, and its log."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        account = program.account
        with log.open("ab") as output:
            self._log_start = output.tell()
            # A session of its own: Ctrl-C at the terminal reaches only the one who started it, who stops it in order.
            self.popen = psutil.Popen(
                [str(part) for part in program.argv],
                env=dict(program.env),
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        self.entry = _Entry(
            name=program.name,
            pid=self.popen.pid,
            created=self.popen.create_time(),
            stop_signal=program.stop_signal,
        )

    @property
    def pid(self) -> int:
        return self.entry.pid

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.popen.poll() is None

    def exit_code(self) -> int | None:
        """How it ended: the exit code, or minus the number of the signal; None while it runs."""
        code: int | None = self.popen.poll()
        return code

    def stop(self) -> None:
        """Ask it to end, and kill it after its grace."""
        if self.running():
            termination.end(self.popen, self.program.stop_signal, self.program.grace)
        self.popen.wait()

    def kill(self) -> None:
        """`kill -9` it and everything below it."""
        if self.running():
            termination.kill(termination.family(self.popen))
        self.popen.wait()

    def tail(self, lines: int = 15) -> str:
        """The last lines that this run wrote to its log."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _log_file(folder: Path, name: str) -> Path:
    """Where to write; a file that has grown large is set aside first, in place of the one before."""
    log = folder / f"{name}.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(folder / f"{name}.log.1")
    return log


class ProcessRecord:
    """The processes of one home, in `processes.json`; their logs in `logs/`. Safe to use from several threads."""

    def __init__(self, home: Path, mark: str) -> None:
        self._file = home / "processes.json"
        self._logs = home / "logs"
        self.mark = mark
        self._mutex = threading.Lock()
        self._started: list[Process] = []

    def spawn(self, program: Program) -> Process:
        """Start a program and put it on record. It logs to `logs/<name>.log`. Raises OSError if it cannot run."""
        private.folder(self._logs)
        marked = Program(**{**vars(program), "env": {**program.env, MARK: self.mark}})
        with self._mutex:
            process = Process(marked, _log_file(self._logs, program.name))
            self._started = [known for known in self._started if known.running()] + [process]
            private.write(self._file, _Entries.dump_json([known.entry for known in self._started]).decode())
        return process

    def running(self) -> list[Process]:
        """What was started from here and has not ended, oldest first."""
        with self._mutex:
            return [process for process in self._started if process.running()]

    def reap(self) -> list[str]:
        """End everything that an earlier holder of the home left running, or that escaped; returns the names."""
        left = [(entry, process) for entry in self._read() if (process := entry.process())]
        with ThreadPoolExecutor(max_workers=max(1, len(left))) as pool:
            ended = [pool.submit(termination.end, process, entry.stop_signal, LEFT_SECONDS) for entry, process in left]
        for outcome in ended:
            outcome.result()
        strays = self._marked()
        names = [entry.name for entry, _ in left] + [f"stray {process.pid}" for process in strays]
        termination.kill(strays)
        self._file.unlink(missing_ok=True)
        return names

    def _read(self) -> list[_Entry]:
        try:
            return _Entries.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return []

    def _marked(self) -> list[psutil.Process]:
        own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        return [process for process in psutil.process_iter() if process.pid not in own and self._bears_mark(process)]

    def _bears_mark(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark
        except (psutil.Error, OSError):
            return False
