"""Folders as zip archives, honest and otherwise."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path


def of_folder(folder: Path, without: str = "\0") -> bytes:
    """A zip of a folder, the folder's name included; `without`: leave out paths that have this in them."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and without not in p.name)
    return of({str(path.relative_to(folder.parent)): path.read_bytes() for path in paths})


def of(files: Mapping[str, bytes]) -> bytes:
    """A zip of files under these names, whatever they are."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # the same bytes at any time
    return made.getvalue()
