"""A warm child process, from its parent's side: started, given work, heard, measured, killed."""

import multiprocessing
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from consumers.runtime import child
from consumers.runtime.child import Boot, Said, Task

JOIN_SECONDS = 10
LISTED = Path("/proc/thread-self/children").exists()


class Warm:
    """One child. It works on one task at a time; nobody else holds an end of its pipe."""

    def __init__(self, boot: Boot) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=child.main, args=(boot, theirs), name=f"{boot.name}-child")
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self._process.pid or 0)

    def signals(self) -> list[Any]:
        """What to wait on: a word from the child, or its end."""
        return [self._pipe, self._process.sentinel]

    def give(self, task: Task) -> None:
        """Hand over a task. If the child is dead, that shows as its end, not here."""
        try:
            self._pipe.send(task)
        except OSError:
            self.kill()

    def hear(self) -> Said | None:
        """What the child has said, if anything."""
        try:
            return self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            return None

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return not self._process.is_alive()

    def cause(self) -> str:
        """How it ended, in words."""
        code = self._process.exitcode
        if code is None:
            return "still alive"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def memory(self) -> int:
        """Bytes in memory of the child and of what it started; 0 when it is gone."""
        return sum(_resident(pid) for pid in (self.pid, *_descendants(self.pid)))

    def own_memory(self) -> int:
        """Bytes in memory of the child alone."""
        return _resident(self.pid)

    def kill(self) -> None:
        """End it now, with everything that it started. Returns when it no longer runs."""
        for pid in _descendants(self.pid):
            _kill(pid)
        self._process.kill()
        self._process.join(JOIN_SECONDS)

    def close(self) -> None:
        """Kill it and forget it."""
        self.kill()
        self._pipe.close()


def _descendants(pid: int) -> list[int]:
    """What a process has started, and what that has. The kernel keeps lists; without them all processes are read."""
    if not LISTED:
        try:
            return [process.pid for process in psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
    children = [child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in _listed(task)]
    return [*children, *(below for child in children for below in _descendants(child))]


def _listed(children: Path) -> list[int]:
    try:
        return [int(word) for word in children.read_text().split()]
    except OSError:  # gone meanwhile
        return []


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
