"""A device's places: a process on one host works on it only while it holds one, whatever the number of processes.

A place is a locked file. The kernel drops the lock with its last holder, which is the child that works or its parent,
whichever lives longer: so who has got a place knows that nothing of the one before still runs.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable
from multiprocessing import reduction
from pathlib import Path
from typing import Any

from infra.refusals import CannotStart
from infra.settings import Settings

LONGEST_NAME = 512


class Place:
    """Room for one job on a device. `worker` is written into the file while it is held."""

    def __init__(self, path: Path, worker: str) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            reason = f"{path} cannot be opened ({error.strerror}): it says who uses the device"
            raise CannotStart(f"{reason}. REELMILL_DEVICE_LOCKS names its folder.") from None
        self._worker = worker
        self._locked = False
        self.held = False

    def take(self, settled: Callable[[str], bool]) -> bool:
        """Try to get it. `settled` says whether the claims of the worker that had it before are nobody's any more."""
        if not self._locked:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._locked = True
        before = os.pread(self._file, LONGEST_NAME, 0).decode(errors="replace")
        if before in {"", self._worker} or settled(before):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, self._worker.encode(), 0)
            self.held = True
        return self.held

    def close(self) -> None:
        """Leave it. A child that still lives keeps it."""
        self._locked = self.held = False
        os.close(self._file)

    def __reduce__(self) -> tuple[Any, ...]:
        """For a child: the same open file, so that the lock lasts as long as the child does."""
        return _inherited, (reduction.DupFd(self._file),)


def place(settings: Settings, number: int, worker: str) -> Place:
    """The place of a slot on the device that the settings name. Raises CannotStart."""
    folder = settings.device_locks or Path(tempfile.gettempdir())
    return Place(folder / f"reelmill-device-{settings.device.replace(':', '-')}-{number}.lock", worker)


def _inherited(file: Any) -> int:
    handle = int(file.detach())
    os.set_inheritable(handle, False)
    return handle
