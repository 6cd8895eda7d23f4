"""`dataset.task`: one task of a dataset version. Label texts for its frames, and augmented pictures of some of them.

Which frames, and by how much, follows from the version's seed, the task and the frame: building again gives the same
bytes. A step holds some frames; a later attempt goes on behind the last one.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from typing import Any

import cv2
import numpy as np

from consumers.artifacts import Artifact, Step
from consumers.datasets import labels
from consumers.datasets.augment import Picture, Random, augmented
from consumers.outcome import Done, Rejected
from consumers.ports import Curation
from schemas.augmentation import Augmentation
from schemas.datasets import DatasetTask, VersionRequest

CHUNK = 50
QUALITY = 95
SMALL_SIDE = 250
JPEG, TEXT = "image/jpeg", "text/plain"


@dataclass(frozen=True)
class _Plan:
    """What the version asks for. `chosen`: the augmentations of each frame."""

    request: VersionRequest
    classes: list[str]
    task: str
    chosen: dict[int, list[Augmentation]]


@dataclass(frozen=True)
class _Made:
    """What became of a frame: rows for the version, what is stored for them, boxes that fit no label."""

    items: list[dict[str, Any]]
    artifacts: tuple[Artifact, ...]
    unmatched: int


def handle(params: DatasetTask, workspace: Curation) -> Done:
    """Build the task. Raises Rejected(`version_gone`) when the version was deleted meanwhile."""
    found = workspace.ask("version")
    frames = workspace.ask("build_frames")
    if not found or not frames:
        raise Rejected("version_gone", "The dataset version has been deleted.")
    request = VersionRequest.model_validate(found[0]["request"])
    numbers = [frame["frame"] for frame in frames]
    task = str(params.task)
    plan = _Plan(request, found[0]["classes"], task, _chosen(request, task, numbers))
    finished = {step.ordinal for step in workspace.checkpoints()}
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(2 * (cpu_count() or 1), thread_name_prefix="frame") as pool:
        for ordinal, first in enumerate(range(0, len(frames), CHUNK)):
            if ordinal not in finished:
                made = list(pool.map(partial(_frame, workspace, plan), frames[first : first + CHUNK]))
                workspace.checkpoint(_step(ordinal, made))
            workspace.progress(99 * (first + CHUNK) / (len(frames) + CHUNK))
    steps = workspace.checkpoints()
    pictures = sum(len(step.record["items"]) for step in steps)
    return Done({"frames": len(frames), "augmented": pictures - len(frames)})


def _step(ordinal: int, made: list[_Made]) -> Step:
    record = {
        "items": [item for each in made for item in each.items],
        "unmatched": sum(each.unmatched for each in made),
    }
    return Step(f"frames-{ordinal:05d}", ordinal, record, tuple(a for each in made for a in each.artifacts))


def _chosen(request: VersionRequest, task: str, frames: list[int]) -> dict[int, list[Augmentation]]:
    """Which augmentations each frame gets: of each, the wanted share of the task's frames, one at least."""
    chosen: dict[int, list[Augmentation]] = {}
    for augmentation in request.augmentations:
        count = max(1, round(len(frames) * augmentation.percent / 100))
        random = _random(request.seed, task, augmentation.type)
        for place in sorted(random.choice(len(frames), count, replace=False)):
            chosen.setdefault(frames[place], []).append(augmentation)
    return chosen


def _frame(workspace: Curation, plan: _Plan, frame: dict[str, Any]) -> _Made:
    number, width, height = frame["frame"], frame["width"], frame["height"]
    objects, unmatched = labels.objects(frame["boxes"], plan.request.labels, plan.classes, width, height)
    text = workspace.store(f"labels/{number:06d}.txt", labels.text(objects, width, height), TEXT)
    base = {"frame": number, "augmentation": "", "image": frame["image"], "thumbnail": frame["thumbnail"]}
    items = [base | {"text": text.sha256, "width": width, "height": height, "objects": objects}]
    artifacts = [text]
    wanted = plan.chosen.get(number, [])
    picture = _read(workspace.kept(frame["image"])) if wanted else None
    for augmentation in wanted:
        assert picture is not None
        random = _random(plan.request.seed, plan.task, f"{augmentation.type}/{number}")
        changed, moved = augmented(augmentation.type, picture, objects, augmentation.interval, random)
        item, stored = _store(workspace, augmentation.type, number, changed, moved)
        items.append(item)
        artifacts += stored
    return _Made(items, tuple(artifacts), unmatched)


def _store(
    workspace: Curation, name: str, number: int, picture: Picture, objects: list[labels.Object]
) -> tuple[dict[str, Any], list[Artifact]]:
    height, width = picture.shape[:2]
    image = workspace.store(f"{name}/{number:06d}.jpg", _jpeg(picture), JPEG)
    small = workspace.store(f"{name}/thumbnails/{number:06d}.jpg", _jpeg(_small(picture)), JPEG)
    text = workspace.store(f"{name}/labels/{number:06d}.txt", labels.text(objects, width, height), TEXT)
    item = {
        "frame": number,
        "augmentation": name,
        "image": image.sha256,
        "thumbnail": small.sha256,
        "text": text.sha256,
        "width": width,
        "height": height,
        "objects": objects,
    }
    return item, [image, small, text]


def _read(data: bytes) -> Picture:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def _jpeg(picture: Picture) -> bytes:
    written, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert written
    return bytes(data.tobytes())


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    scale = SMALL_SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _random(seed: int, task: str, about: str) -> Random:
    digest = hashlib.sha256(f"{seed}/{task}/{about}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
