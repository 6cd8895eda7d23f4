"""Images that were uploaded, one by one or in zip archives: found, ordered and read. Nothing here pads or stores."""

import random
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from consumers.outcome import Rejected
from consumers.ports import Workspace
from consumers.splitter.pixels import Bytes

ENDINGS = {".jpg", ".jpeg", ".png"}
MOST = 100_000
LARGEST = 256 * 1024**2
LARGEST_SIDE = 16_384
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Image:
    """An image: what it is called, and where its bytes are. `member` is its place in an archive."""

    name: str
    path: Path
    member: str | None = None

    def read(self) -> Bytes:
        """The picture upright, BGR. Raises Rejected(`unreadable_image`)."""
        data = self._data()
        try:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data.startswith(MAGIC) else None
        except cv2.error:  # it says that it has more pixels than anybody could hold
            picture = None
        if picture is None or max(picture.shape) > LARGEST_SIDE:
            raise Rejected("unreadable_image", f"{self.name} is not a JPEG or PNG image that can be read.")
        return np.asarray(picture, np.uint8)

    def _data(self) -> bytes:
        if self.member is None:
            return self.path.read_bytes()
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as source:
                data = source.read(LARGEST + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
            raise Rejected("unreadable_archive", f"{self.name} cannot be unpacked.") from error
        if len(data) > LARGEST:
            raise Rejected("image_too_large", f"{self.name} is larger than {LARGEST >> 20} MiB.")
        return data


def images(workspace: Workspace, references: Sequence[str], seed: int | None) -> list[Image]:
    """All images of these files in their natural order (2 before 10), or shuffled with a seed.

    Raises Rejected: `unreadable_archive`, `no_images`, `too_many_images`.
    """
    found = [image for reference in dict.fromkeys(references) for image in _of_file(workspace, reference)]
    if not found:
        raise Rejected("no_images", "There is no JPEG or PNG image in what was uploaded.")
    if len(found) > MOST:
        raise Rejected("too_many_images", f"One upload has at most {MOST} images.")
    ordered = sorted(found, key=lambda image: (natural(image.name), str(image.path)))
    if seed is not None:
        random.Random(seed).shuffle(ordered)  # noqa: S311 - reproducible on purpose
    return ordered


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers within names by their value."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def _of_file(workspace: Workspace, reference: str) -> Iterator[Image]:
    path, name = workspace.input(reference), workspace.name(reference)
    with path.open("rb") as source:
        archived = source.read(len(ZIP)) == ZIP
    if not archived:
        yield Image(name, path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info.filename for info in archive.infolist() if _is_image(info)]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Rejected("unreadable_archive", f"{name} is not a zip archive that can be read.") from error
    yield from (Image(member, path, member) for member in members)


def _is_image(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename)
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return not info.is_dir() and not hidden and path.suffix.lower() in ENDINGS
