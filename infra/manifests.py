"""Manifests, by host and id, and where content lies that has matched them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from infra import db
from schemas.manifests import Listing

MOST_LOCATIONS = 1000


def put(connection: Connection, host: str, external_id: str, directory: str, files: Listing, by: str) -> bool | None:
    """Keep a manifest in place of the one before. True when it is the first, None when it was there just like this."""
    row = db.row(
        connection,
        "manifests.put",
        host=host,
        external_id=external_id,
        directory=directory,
        files=db.document([[file.path, file.size, file.sha256] for file in files.files]),
        file_count=len(files.files),
        size=files.bytes,
        list_sha256=files.sha256,
        by=by,
    )
    return row["created"] if row is not None else None


def get(connection: Connection, host: str, external_id: str) -> db.Row | None:
    """One manifest."""
    return db.row(connection, "manifests.get", host=host, external_id=external_id)


def page(
    connection: Connection, directory: str | None, host: str | None, after: tuple[str, str], limit: int
) -> Sequence[db.Row]:
    """Manifests by host and id."""
    values = {"directory": directory, "host": host, "after_host": after[0], "after_id": after[1]}
    return db.rows(connection, "manifests.page", **values, limit=limit)


def location(connection: Connection, host: str, external_id: str) -> Sequence[db.Row]:
    """Where one thing lies; as a rule in one place."""
    return db.rows(connection, "manifests.location", host=host, external_id=external_id)


def at(connection: Connection, path: str) -> Sequence[db.Row]:
    """What lies at a path, or in a folder that holds it."""
    parts = path.rstrip("/").split("/")
    places = {"/".join(parts[:n]) for n in range(1, len(parts) + 1)} - {""}
    return db.rows(connection, "manifests.at", locations=sorted(places | {path}), limit=MOST_LOCATIONS)
