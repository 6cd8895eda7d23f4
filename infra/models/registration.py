"""From a request to the details of a model: archives are fetched, looked into, and judged. Blocks; runs in a thread."""

import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from infra import db, tenancy
from infra.models import calibration, project, rows
from infra.models.archive import Unusable
from infra.models.rows import Registered
from infra.storage import Storage
from schemas.models import ModelKind, ModelRequest

CAMERAS = 2


def register(
    engine: Engine,
    storage: Storage,
    wanted: ModelRequest,
    archive: db.Row | None,
    created_by: str,
    tenant: str = tenancy.NOBODY,
) -> tuple[Registered, bool]:
    """Check and store a model. Returns it, and whether it is new. Raises Unusable; `name_taken` by another tenant.

    `archive` is the row of the content that `wanted.file` means.
    """
    with tempfile.TemporaryDirectory(prefix="reelmill-model-") as folder:
        path = Path(folder, "archive.zip")
        if archive is not None:
            storage.fetch(archive["object_key"], path, archive["sha256"])
        details = _details(engine, wanted, path, tenant)
    sha256 = archive["sha256"] if archive is not None and wanted.kind is ModelKind.DLC else None
    with engine.begin() as connection:
        owner = db.row(connection, "tenancy.model_owner", name=wanted.name)
        if owner is not None and owner["tenant"] != tenant:
            raise Unusable("name_taken", "A model of somebody else has this name.")
        tenancy.act_as(connection, tenant)
        return rows.add(connection, wanted.name, wanted.kind, details, sha256, created_by)


def _details(engine: Engine, wanted: ModelRequest, path: Path, tenant: str) -> dict[str, Any]:
    if wanted.kind is ModelKind.DLC:
        return project.read(path)
    if wanted.kind is ModelKind.TRACKER:
        assert wanted.tracker is not None
        return wanted.tracker.model_dump(mode="json")
    with tenancy.transaction(engine, tenant) as connection:
        used = [_pose_model(rows.get(connection, name), name) for name in wanted.models or ()]
    return _rig(wanted, path, used * (CAMERAS // len(used)))


def _rig(wanted: ModelRequest, path: Path, used: list[Registered]) -> dict[str, Any]:
    if wanted.cameras is not None:
        names = [camera.name for camera in wanted.cameras]
        if len(set(names)) < len(names):
            raise Unusable("bad_calibration", "Each camera has a name of its own.")
        rig: dict[str, Any] = {"cameras": [c.model_dump(mode="json") for c in wanted.cameras], "pcutoff": 0.6}
    else:
        rig = calibration.read(path)
    points = [rows.points_of(model) for model in used]
    if sorted(points[0]) != sorted(points[1]):
        raise Unusable("points_differ", "The models of both cameras find the same points.")
    if wanted.pcutoff is not None:
        rig["pcutoff"] = wanted.pcutoff
    about = {"points": points[0], "skeleton": used[0].details.get("skeleton", [])}
    return rig | about | {"models": [model.reference for model in used]}


def _pose_model(model: Registered | None, name: str) -> Registered:
    if model is None:
        raise Unusable("unknown_model", f"There is no model {name}.")
    if model.kind is ModelKind.RIG:
        raise Unusable("wrong_model", "The models of a rig find points in pictures; this one is itself a rig.")
    return model
