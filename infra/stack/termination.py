"""How processes end: asked first, killed when they stay, and nothing of what they started is left behind."""

import contextlib
import time
from collections.abc import Collection
from signal import SIGKILL, Signals

import psutil

KILL_SECONDS = 10.0
_GONE = (psutil.NoSuchProcess, ProcessLookupError)


def alive(process: psutil.Process) -> bool:
    """Whether it still runs. A zombie does not: it only waits for its parent, which in a container may be never."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def alive_number(pid: int) -> bool:
    """Whether any process with this number still runs."""
    try:
        return alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and everything below it, parents first."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def send(process: psutil.Process, signal: Signals) -> None:
    """Signal a process that may have ended, or whose number may belong to another one by now (then nothing is sent)."""
    with contextlib.suppress(*_GONE):
        process.send_signal(signal)


def await_end(processes: Collection[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for all of them to end; returns those that are still alive after so long."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if alive(process)]
    return left


def kill(processes: Collection[psutil.Process]) -> None:
    """SIGKILL, and wait for the end. Parents go first, so that none replaces a child that was killed."""
    for process in processes:
        send(process, SIGKILL)
    await_end(processes, KILL_SECONDS)


def end(process: psutil.Process, signal: Signals, grace: float) -> None:
    """Ask with `signal`, wait `grace` seconds, then kill whatever is left of the process and its descendants."""
    members = family(process)
    send(process, signal)
    await_end([process], grace)
    kill([member for member in members if alive(member)])
