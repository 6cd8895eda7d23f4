"""Models on this machine: fetched once for each consumer process, and only the two files that are ever read."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from consumers.outcome import JobError, Rejected
from consumers.ports import Model
from infra import db
from infra.models import archive, rows
from infra.models.project import POSE_CONFIG
from infra.models.rows import Registered
from infra.storage import Storage
from schemas.models import ModelKind

SNAPSHOT = "snapshot.pt"
FOLDER = "models"


def find(connection: Connection, reference: str) -> tuple[Registered, db.Row | None]:
    """A model and where its archive lies. Raises Rejected."""
    model = rows.get(connection, reference)
    if model is None:
        raise Rejected("unknown_model", f"There is no model {reference}.")
    return model, rows.archive_of(connection, model)


def unpacked(model: Registered, stored: db.Row | None, storage: Storage, beside: Path) -> Model:
    """The model with its files in a folder beside the attempt's own. Raises Rejected, and what the storage raises."""
    folder: Path | None = None
    if model.kind is ModelKind.DLC:
        if stored is None:
            raise JobError("object_missing", "The archive of the model is missing.")
        folder = beside / FOLDER / str(stored["sha256"])
        if not folder.exists():
            _unpack(model, stored, storage, folder)
    return Model(model.name, model.version, model.kind.value, model.digest, model.details, folder)


def _unpack(model: Registered, stored: db.Row, storage: Storage, folder: Path) -> None:
    """Into a folder of its own, which gets its name when it is whole: others may be unpacking the same."""
    folder.parent.mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        packed = made / "archive.zip"
        storage.fetch(stored["object_key"], packed, stored["sha256"])
        with archive.opened(packed) as inside:
            inside.unpack(model.details["config"], made / POSE_CONFIG)
            inside.unpack(model.details["snapshot"], made / SNAPSHOT)
        packed.unlink()
        with suppress(OSError):  # somebody else was faster
            made.rename(folder)
    except archive.Unusable as error:
        raise Rejected(error.code, error.message) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
