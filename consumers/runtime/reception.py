"""What a delivery's check gets to see: the files that lie there or are said to, and the manifests that may be meant."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from uuid import UUID

from sqlalchemy import Engine

from consumers.delivered import Candidate, Delivered, Files, Found
from consumers.outcome import Rejected
from consumers.runtime.database import translated
from infra import db, deliveries
from infra.storage import Storage
from schemas.deliveries import Extra
from schemas.manifests import MOST_FILES


def delivered(engine: Engine, storage: Storage, delivery: UUID) -> Delivered:
    """A delivery as it is now. Raises Rejected."""
    with translated(), engine.begin() as connection:
        row = deliveries.get(connection, delivery)
        if row is None:
            raise Rejected("unknown_delivery", "There is no such delivery.")
        found = deliveries.candidates(connection, row)
    candidates = [
        Candidate(each["host"], each["external_id"], each["list_sha256"], _files(each["files"])) for each in found
    ]
    objects = _objects(row, storage)
    files = _files(row["files"]) if row["source"] == "listed" else {path: f for path, (_, f) in objects.items()}
    return Delivered(files, candidates, Extra(row["extra"]), {path: key for path, (key, _) in objects.items()})


def sha256(storage: Storage, key: str) -> str:
    """The hash of an object."""
    digest = hashlib.sha256()
    with storage.open(key) as chunks:
        for chunk in chunks:
            digest.update(chunk)
    return digest.hexdigest()


def _files(listed: list[list[object]]) -> Files:
    return {str(path): Found(int(str(size)), str(digest) if digest else None) for path, size, digest in listed}


def _objects(row: db.Row, storage: Storage) -> dict[str, tuple[str, Found]]:
    """The objects of a delivery by the path of the file that each is: its key, and what is known of it."""
    if row["source"] == "listed":
        return {}
    prefix = f"{row['location']}/"
    names = {str(n): path for n, (path, _, _) in enumerate(row["files"] or ())}
    found: dict[str, tuple[str, Found]] = {}
    for key, size in _bounded(storage.sizes(prefix)):
        name = key.removeprefix(prefix)
        if not name or name.endswith("/"):
            continue  # what some clients put for a folder
        found[names.get(name, name) if names else deliveries.path_of(name)] = (key, Found(size))
    return found


def _bounded(objects: Iterator[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    yield from islice(objects, MOST_FILES)
    if next(objects, None) is not None:
        raise Rejected("too_many_files", f"A delivery has at most {MOST_FILES} files.")
