"""Files that only their owner may read, written whole or not at all. Secrets go to disk through here only."""

import os
import tempfile
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Put `text` at `path` with mode 0600. A reader sees the old file or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def folder(path: Path) -> Path:
    """Make `path` a folder with mode 0700, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
