"""A DeepLabCut project as an archive: which configuration and which snapshot count. Nothing in it is run or unpickled.

Only these two files are ever unpacked, under names of ours, so no path in any configuration matters.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from infra.models import documents
from infra.models.archive import Archive, Unusable, opened
from schemas.models import MOST_POINTS

CONFIG = "config.yaml"
POSE_CONFIG = "pytorch_config.yaml"
SNAPSHOT = re.compile(r"snapshot-(?:best-)?(\d+)\.pt")
#: Torch writes snapshots as zip archives.
SNAPSHOT_BEGINS = b"PK\x03\x04"
BACKBONE = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def read(path: Path) -> dict[str, Any]:
    """What is known about the model in an archive. Raises Unusable."""
    with opened(path) as archive:
        root, project = find(archive, "Task")
        if project.get("multianimalproject"):
            raise Unusable("unsupported_model", "Projects with several animals are not supported.")
        config = _training(archive, root, project)
        pose = documents.load(archive, config)
        points = _points(pose)
        _safe(pose)
        snapshot = _snapshot(archive, config, project)
        return {
            "task": documents.field(project, "Task", str)[:128],
            "points": points,
            "skeleton": documents.bones(documents.field(project, "skeleton", list, []), points),
            "pcutoff": documents.number(project, "pcutoff", 0.6),
            "config": config,
            "snapshot": snapshot,
            "scorer": _scorer(project, pose, config, snapshot),
        }


def find(archive: Archive, key: str) -> tuple[PurePosixPath, dict[str, Any]]:
    """The folder of the project, and its configuration: the `config.yaml` nearest to the top that has this key."""
    found = [PurePosixPath(name) for name in archive.names if PurePosixPath(name).name == CONFIG]
    for name in sorted(found, key=lambda name: (len(name.parts), name)):
        document = documents.load(archive, str(name))
        if key in document:
            return name.parent, document
    raise Unusable("not_a_project", "The archive has no config.yaml of such a project in it.")


def _training(archive: Archive, root: PurePosixPath, project: dict[str, Any]) -> str:
    """The configuration of the network: the default shuffle's, or the only one's."""
    iteration = f"iteration-{documents.field(project, 'iteration', int, 0)}"
    folder = root / "dlc-models-pytorch" / iteration
    found = [n for n in archive.names if PurePosixPath(n).match(f"{folder}/*/train/{POSE_CONFIG}")]
    first = [n for n in found if PurePosixPath(n).parts[-3].endswith("shuffle1")]
    if not found:
        raise Unusable("model_without_snapshot", f"The project has no model of the PyTorch engine for {iteration}.")
    if len(found) > 1 and len(first) != 1:
        raise Unusable("ambiguous_model", "The project has several trained models; keep the one that is meant.")
    return first[0] if len(first) == 1 else found[0]


def _snapshot(archive: Archive, config: str, project: dict[str, Any]) -> str:
    folder = PurePosixPath(config).parent
    inside = [PurePosixPath(name) for name in archive.names if PurePosixPath(name).parent == folder]
    found = sorted((n for n in inside if SNAPSHOT.fullmatch(n.name)), key=_order)
    if not found:
        raise Unusable("model_without_snapshot", "The project has no trained snapshot (snapshot-*.pt).")
    index = project.get("snapshotindex", -1)
    try:
        chosen = str(found[index if isinstance(index, int) else -1])
    except IndexError:
        raise Unusable("model_without_snapshot", "The project has no snapshot with that index.") from None
    if not archive.begins(chosen, SNAPSHOT_BEGINS):
        raise Unusable("bad_snapshot", "The snapshot is not one that torch has written.")
    return chosen


def _order(snapshot: PurePosixPath) -> tuple[bool, int]:
    """By epoch; the best comes last, as DeepLabCut has it."""
    match = SNAPSHOT.fullmatch(snapshot.name)
    return "best" in snapshot.name, int(match[1]) if match else 0


def _points(pose: dict[str, Any]) -> list[str]:
    about = documents.field(pose, "metadata", dict)
    if len(documents.field(about, "individuals", list, ["animal"])) > 1 or about.get("unique_bodyparts"):
        raise Unusable("unsupported_model", "Models of several animals are not supported.")
    if pose.get("method", "bu") != "bu":
        raise Unusable("unsupported_model", "Only bottom-up models are supported: no detector is needed for them.")
    return documents.names(documents.field(about, "bodyparts", list), "bodyparts", MOST_POINTS)


def _safe(pose: dict[str, Any]) -> None:
    """Refuse what would run code or fetch something when the network is built."""
    runner = documents.field(pose, "runner", dict, {})
    if runner.get("load_weights_only") not in {None, True}:
        raise Unusable("unsafe_model", "The model asks for its snapshot to be unpickled without protection.")
    backbone = documents.field(pose, "model.backbone", dict, {})
    name = backbone.get("model_name", "none")
    if not isinstance(name, str) or BACKBONE.fullmatch(name) is None:
        raise Unusable("unsafe_model", "The name of the network's backbone points outside.")


def _scorer(project: dict[str, Any], pose: dict[str, Any], config: str, snapshot: str) -> str:
    """The name in the first line of results, as DeepLabCut has it."""
    net = "".join(part.capitalize() for part in str(pose.get("net_type", "net")).split("_"))
    shuffle = re.search(r"shuffle(\d+)", config)
    best, epoch = _order(PurePosixPath(snapshot))
    snap = f"best-{epoch}" if best else str(epoch)
    text = f"DLC_{net}_{project.get('Task')}{project.get('date')}shuffle{shuffle[1] if shuffle else 1}_snapshot_{snap}"
    return re.sub(r"[^A-Za-z0-9_.-]", "", text)[:200]
