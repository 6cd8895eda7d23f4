"""The exporter's door: one moment of a project becomes an archive, with everything that is needed to use it.

Four things go on at once, each as far as it can: the database copies the moment to files, the model is asked and tables
are written, the archive is made of them, and it goes to the store. None holds up the one before it. The stored model is
read as parameters or not at all.
"""

from collections.abc import Iterator
from typing import Any

from consumers.ahead import Ahead
from consumers.archive.columns import Told
from consumers.archive.reading import Reading
from consumers.archive.zipping import Member, archive
from consumers.artifacts import Artifact
from consumers.exporter import card
from consumers.exporter.model import LIBRARIES, Model
from consumers.exporter.people import People
from consumers.exporter.tables import Tables, counts
from consumers.outcome import Done, Rejected
from consumers.ports import LabelledWorkspace
from consumers.snapshot import Snapshot
from schemas.exports import ExportLabels
from schemas.linear import LinearModel, Unsafe, decode

FORMAT_VERSION = 1
BEGUN, TABLES_DONE, ARCHIVE_DONE = 5.0, 30.0, 99.0
BLOCKS_AHEAD = 16


def handle(params: ExportLabels, workspace: LabelledWorkspace) -> Done:
    """Export. The outcome's artifact is `data-<classifier>.zip`.

    Raises Rejected with `unsafe_model`, `no_vectorizer`, `wrong_features`, and what the workspace raises.
    """
    with workspace.snapshot(params) as snapshot:
        workspace.progress(BEGUN)
        people = People(snapshot.salt, params.identities)
        model = Model(_checked(snapshot))
        tables = Tables(snapshot, people, workspace.scratch / "tables", params.formats)
        with tables.filling(model, _stage(workspace, BEGUN, TABLES_DONE)):
            artifact = _streamed(params, workspace, snapshot, model, tables)
    told = {"size": artifact.size, "sha256": artifact.sha256, "snapshot_at": snapshot.taken_at.isoformat()}
    return Done({"archive": artifact.name} | told | dict(counts(tables)), (artifact,))


def _streamed(
    params: ExportLabels, workspace: LabelledWorkspace, snapshot: Snapshot, model: Model, tables: Tables
) -> Artifact:
    members = _members(snapshot, model, tables, _stage(workspace, TABLES_DONE, ARCHIVE_DONE))
    made = archive(members, snapshot.taken_at, lambda _: _about(params, snapshot, tables))
    with Ahead(made, BLOCKS_AHEAD) as blocks:
        return workspace.stream(f"data-{params.classifier}.zip", Reading(blocks), "application/zip")


def _checked(snapshot: Snapshot) -> LinearModel:
    stored = snapshot.classifier
    assert stored is not None
    try:
        model = decode(stored.parameters, stored.sha256)
    except Unsafe as error:
        raise Rejected("unsafe_model", f"The stored classifier is not used: {error}.") from None
    if not snapshot.features and model.vectorizer is None:
        raise Rejected("no_vectorizer", "The classifier has no vectorizer, which texts need.")
    if snapshot.features and model.features != len(snapshot.features):
        raise Rejected("wrong_features", f"The classifier takes {model.features} numbers, the project has others.")
    return model


def _stage(workspace: LabelledWorkspace, first: float, last: float) -> Told:
    """Tell how much of a stage is done as a part of the whole."""
    return lambda part: workspace.progress(first + part * (last - first))


def _members(snapshot: Snapshot, model: Model, tables: Tables, told: Told) -> Iterator[Member]:
    yield from tables.members(told)
    for name, pickled in model.pickles().items():
        yield Member(name, (pickled,))
    yield Member("model.json", (model.parameters.encoded(),))
    yield Member(card.NAME, (card.card(snapshot, model),))


def _about(params: ExportLabels, snapshot: Snapshot, tables: Tables) -> dict[str, Any]:
    stored = snapshot.classifier
    assert stored is not None
    return {
        "format": FORMAT_VERSION,
        "project": snapshot.project,
        "classifier": stored.id,
        "model_sha256": stored.sha256,
        "snapshot_at": snapshot.taken_at.isoformat(),
        "features": list(snapshot.features),
        "annotators": "names" if params.identities else "pseudonyms",
        "libraries": LIBRARIES,
        "rows": dict(counts(tables)),
    }
