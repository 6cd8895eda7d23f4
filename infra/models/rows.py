"""Models by name and version. A version never changes and is kept until somebody deletes it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection

from infra import blobs, db
from infra.models.archive import Unusable
from schemas.models import ModelKind, Spot, TrackerParameters

#: Always there: finds whatever stands out most. Registered models have other names.
BUILT_IN = "tracker"
BUILT_IN_PARAMETERS = TrackerParameters(points=[Spot(name="dot")])


class InUse(Exception):
    """Something still needs this version."""

    def __init__(self, users: Sequence[str]) -> None:
        super().__init__("something still needs this model")
        self.users = tuple(users)


@dataclass(frozen=True)
class Registered:
    """One version of a model."""

    name: str
    version: int
    kind: ModelKind
    digest: str
    sha256: str | None
    details: dict[str, Any]
    created_by: str | None = None
    created_at: Any = None

    @property
    def reference(self) -> str:
        """What names this very version."""
        return f"{self.name}@{self.version}"


def parsed(reference: str) -> tuple[str, int | None]:
    """The name and the version in a reference."""
    name, _, version = reference.partition("@")
    return name, int(version) if version else None


def get(connection: Connection, reference: str) -> Registered | None:
    """The version that a reference means; the newest when it names none."""
    name, version = parsed(reference)
    if name == BUILT_IN:
        return built_in() if version in {None, 1} else None
    row = db.row(connection, "models.get", name=name, version=version)
    return _of(row) if row is not None else None


def page(connection: Connection, after: str, limit: int) -> list[Registered]:
    """Models by name, each at its newest version; the built-in one stands in its place."""
    found = [_of(row) for row in db.rows(connection, "models.page", after=after, limit=limit)]
    if after < BUILT_IN:
        found = sorted([*found, built_in()], key=lambda model: model.name)
    return found[:limit]


def versions(connection: Connection, name: str) -> list[Registered]:
    """All versions of a model, newest first."""
    if name == BUILT_IN:
        return [built_in()]
    return [_of(row) for row in db.rows(connection, "models.versions", name=name)]


def add(
    connection: Connection, name: str, kind: ModelKind, details: dict[str, Any], sha256: str | None, created_by: str
) -> tuple[Registered, bool]:
    """Register a version. The newest one, and False, when it is the same. Raises Unusable."""
    if name == BUILT_IN:
        raise Unusable("reserved_name", f"The name {BUILT_IN} is that of the built-in model.")
    db.rows(connection, "models.lock", name=name)
    if sha256 is not None and db.row(connection, "models.hold_blob", sha256=sha256) is None:
        raise Unusable("unknown_file", "The archive has just been deleted.")
    digest = digest_of(kind, details, sha256)
    newest = get(connection, name)
    if newest is not None and newest.digest == digest:
        return newest, False
    values = {"name": name, "kind": kind.value, "digest": digest, "sha256": sha256, "created_by": created_by}
    [row] = db.rows(connection, "models.insert", details=db.document(details), **values)
    return _of(row), True


def delete(connection: Connection, model: Registered) -> bool:
    """Forget a version; its archive goes when nothing else names it. Raises InUse while a job or a rig needs it."""
    db.rows(connection, "models.lock", name=model.name)
    users = db.rows(connection, "models.users", name=model.name, reference=model.reference)
    if users:
        raise InUse([f"{row['what']} {row['id']}" for row in users])
    gone = db.rows(connection, "models.delete", name=model.name, version=model.version)
    blobs.let_go(connection, [row["sha256"] for row in gone if row["sha256"] is not None])
    return bool(gone)


def archive_of(connection: Connection, model: Registered) -> db.Row | None:
    """Where a model's archive lies: `sha256` and `object_key`."""
    return db.row(connection, "models.archive", name=model.name, version=model.version)


def built_in() -> Registered:
    """The model that is always there."""
    details = BUILT_IN_PARAMETERS.model_dump(mode="json")
    return Registered(BUILT_IN, 1, ModelKind.TRACKER, digest_of(ModelKind.TRACKER, details, None), None, details)


def digest_of(kind: ModelKind, details: dict[str, Any], sha256: str | None) -> str:
    """SHA-256 of all that makes a model what it is."""
    parts = [kind.value, sha256, details]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def points_of(model: Registered) -> list[str]:
    """The names of its points."""
    points = model.details.get("points", [])
    return [point["name"] if isinstance(point, dict) else str(point) for point in points]


def _of(row: db.Row) -> Registered:
    return Registered(**{**row, "kind": ModelKind(row["kind"])})
