"""Work folders: one per attempt, inside one per consumer process that is locked for as long as the process lives.

The kernel drops the lock however the process ends, so a lock that can be had marks what a dead consumer left behind.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import structlog

from infra.claims import Claim

NEW = "reelmill-new-"
OWNED = "reelmill-work-"
LOCK = "lock"
BLOCK = 512
"""What `st_blocks` counts, whatever the file system's own blocks are."""

log = structlog.get_logger()


class Scratch:
    """The work folders of this process, under `parent`, or under the system's temporary folder."""

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent or Path(tempfile.gettempdir())
        self._sweep()
        made = Path(tempfile.mkdtemp(prefix=NEW, dir=self._parent))
        lock = _lock(made)
        assert lock is not None, "nobody else knows a folder that was just made"
        self._lock: int = lock
        # It gets the name that others look for only now that it is locked.
        self._root = made.rename(made.with_name(OWNED + made.name.removeprefix(NEW)))

    def folder(self, claim: Claim) -> Path:
        """A fresh, empty folder for one attempt."""
        path = self._root / f"{claim.id}-{claim.token}"
        path.mkdir()
        return path

    def remove(self, folder: Path) -> None:
        """Remove an attempt's folder with all that is in it."""
        shutil.rmtree(folder, onerror=_report)

    def used(self, folder: Path) -> int:
        """Bytes on disk in an attempt's folder. What comes and goes meanwhile may or may not be counted."""
        return sum(_used(Path(inside, name)) for inside, folders, files in os.walk(folder) for name in folders + files)

    def close(self) -> None:
        """Remove everything."""
        self.remove(self._root)
        os.close(self._lock)

    def _sweep(self) -> None:
        for left in self._parent.glob(f"{OWNED}*"):
            lock = _lock(left)
            if lock is not None:
                log.info("removing what a dead consumer left", action="scratch.swept", folder=left.name)
                self.remove(left)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """The lock of a folder of ours, or None when its owner lives or somebody else is removing it."""
    try:
        if folder.lstat().st_uid != os.getuid():
            return None
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _used(path: Path) -> int:
    try:
        return path.lstat().st_blocks * BLOCK
    except OSError:
        return 0


def _report(_: object, path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(error[1], FileNotFoundError):
        log.warning("cannot remove", action="scratch.kept", name=Path(path).name, reason=str(error[1]))
