"""Manifests: which files a content is made of. Two ways to write one, one way in which it is kept. Pure.

Sites give a list as `name{{{size}}}|||name{{{size}}}`, with names written for HTML. Names are decoded first and checked
afterwards, so that no entity hides a path that leads elsewhere.
"""

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from schemas.fields import Strict

MOST_FILES = 100_000
LONGEST_PATH = 1024
LARGEST_FILE = 2**63 - 1
BETWEEN_FILES = "|||"
SIZE_BEGINS, SIZE_ENDS = "{{{", "}}}"
ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
NO_CHARACTERS = frozenset({"Cc", "Cs"})

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]


class ListedFile(Strict):
    """One file: its path below the directory, and its size in bytes."""

    path: str = Field(min_length=1, max_length=8 * LONGEST_PATH)
    size: int = Field(ge=0, le=LARGEST_FILE)
    sha256: Digest | None = None


def _listed(given: Any) -> Any:
    """The list form as what it lists. Raises ValueError."""
    if not isinstance(given, str):
        return given
    return [_entry(text) for text in given.split(BETWEEN_FILES) if text]


def _entry(text: str) -> dict[str, Any]:
    name, begins, size = text.rpartition(SIZE_BEGINS)
    number = size.removesuffix(SIZE_ENDS)
    if not begins or number == size or not (number.isascii() and number.isdigit() and len(number) <= 19):
        raise ValueError("a list of files is name{{{size}}}|||name{{{size}}}")
    return {"path": name, "size": int(number)}


Files = Annotated[
    list[ListedFile],
    BeforeValidator(_listed, json_schema_input_type=list[ListedFile] | str),
    Field(min_length=1, max_length=MOST_FILES),
]
"""Files, each as an object, or all of them in the list form of sites."""


class Listing(Strict):
    """Files with clean paths, none twice, by path."""

    files: tuple[ListedFile, ...]

    @property
    def sha256(self) -> str:
        """Equal for lists of the same paths and sizes."""
        hashed = hashlib.sha256()
        for file in self.files:
            hashed.update(f"{file.path}\0{file.size}\n".encode())
        return hashed.hexdigest()

    @property
    def bytes(self) -> int:
        """The size of all of it."""
        return sum(file.size for file in self.files)


class ManifestRequest(Strict):
    """What a content at a host is made of. A site's own reply, with its `filePath` and `fileList`, is taken, too."""

    directory: str = Field(
        min_length=1,
        max_length=8 * LONGEST_PATH,
        description="The name of the folder that holds the files.",
    )
    files: Files
    entities: bool = Field(True, description="Whether names are written for HTML, as sites do: `&amp;` for `&`.")

    @model_validator(mode="before")
    @classmethod
    def _of_a_site(cls, given: Any) -> Any:
        """What of a site's reply counts: the rest of it is not kept."""
        for around in ("response", "torrent"):
            if isinstance(given, dict) and isinstance(given.get(around), dict):
                given = given[around]
        if isinstance(given, dict) and "fileList" in given:
            return {"directory": given.get("filePath", ""), "files": given["fileList"]}
        return given

    @model_validator(mode="after")
    def _can_be_kept(self) -> "ManifestRequest":
        self.folder  # noqa: B018 - raises
        # What lies in a folder follows it at once where nothing sorts before a slash.
        paths = sorted(file.path.replace("/", "\0") for file in self.listing.files)
        if any(below.startswith(f"{above}\0") for above, below in pairwise(paths)):
            raise ValueError("no path is a file and a folder at once")
        return self

    @property
    def folder(self) -> str:
        """The name of the directory. Raises ValueError."""
        found = clean(self.directory, self.entities)
        if "/" in found:
            raise ValueError("a directory is one name, without slashes")
        return found

    @property
    def listing(self) -> Listing:
        """The files as they are kept. Raises ValueError."""
        return listing(self.files, self.entities)


class ManifestView(BaseModel):
    """A manifest. `location` is where content that matched it lies."""

    host: str
    external_id: str
    directory: str
    files: list[ListedFile]
    file_count: int
    size: int = Field(description="Bytes of all files.")
    list_sha256: str = Field(description="Equal for manifests of the same paths and sizes.")
    location: str | None
    revision: int
    updated_by: str
    updated_at: datetime


class ManifestSummary(BaseModel):
    """A manifest in a list."""

    host: str
    external_id: str
    directory: str
    file_count: int
    size: int
    list_sha256: str
    location: str | None


class ManifestPage(BaseModel):
    """Manifests by host and id. `next` is the cursor of the following page, if there is one."""

    manifests: list[ManifestSummary]
    next: str | None


def listing(files: Iterable[ListedFile], entities: bool) -> Listing:
    """Files with clean paths, by path. Raises ValueError for a path that leads elsewhere, and for one given twice."""
    found: dict[str, ListedFile] = {}
    for file in files:
        path = clean(file.path, entities)
        if path in found:
            raise ValueError(f"the path {path[:200]!r} is there twice")
        found[path] = file.model_copy(update={"path": path})
    return Listing(files=tuple(found[path] for path in sorted(found)))


def clean(path: str, entities: bool) -> str:
    """A relative path in NFC. Raises ValueError for anything that could lead out of its directory."""
    decoded = ENTITY.sub(lambda match: html.unescape(match[0]), path) if entities else path
    found = unicodedata.normalize("NFC", decoded)
    if len(found) > LONGEST_PATH:
        raise ValueError(f"a path has at most {LONGEST_PATH} characters")
    if "\\" in found or any(unicodedata.category(c) in NO_CHARACTERS for c in found):
        raise ValueError("a path has no backslash and no control character")
    if any(part in {"", ".", ".."} for part in found.split("/")):
        raise ValueError("a path is relative, and has no empty part and neither '.' nor '..'")
    return found
