"""`annotate.import`: the boxes of one task from COCO, YOLO or CVAT XML, as a person's word.

Frames are found by the number that ends a picture's name, counted from 1; in CVAT XML by the image's id or the frame
of a track, which count from 0. Sizes other than the task's are scaled to it. Nothing of a file's paths is opened.
"""

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from consumers.artifacts import Step
from consumers.outcome import Done, Rejected
from consumers.ports import Curation
from schemas.detection import ImportAnnotations

LARGEST = 64 * 1024**2
MOST_MEMBERS = 100_000
LARGEST_SIDE = 1e6
LONGEST_LABEL = 200
Box = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is annotated: pixels, and how many frames."""

    width: int
    height: int
    frames: int


@dataclass(frozen=True)
class Said:
    """What a file says: every frame that it speaks of, and the boxes on them."""

    frames: set[int]
    boxes: list[Box]


def handle(params: ImportAnnotations, workspace: Curation) -> Done:
    """Read the file. Raises Rejected: `unknown_task`, `unreadable_annotations`, `no_annotations`."""
    found = workspace.ask("task")
    if not found:
        raise Rejected("unknown_task", "The task has been deleted.")
    task = Task(found[0]["width"], found[0]["height"], found[0]["frame_count"])
    try:
        said = READERS[params.format](workspace.input(params.file), task)
    except (KeyError, ValueError, TypeError, IndexError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise Rejected("unreadable_annotations", f"The file is not what {params.format} files are.") from error
    frames = sorted(frame for frame in said.frames if 1 <= frame <= task.frames)
    if not frames:
        raise Rejected("no_annotations", "The file says nothing about any frame of the task.")
    boxes = [box for box in said.boxes if box["frame"] in frames and _is_box(box)]
    places = [box | {"place": place} for place, box in enumerate(boxes)]
    if not workspace.checkpoints():
        workspace.checkpoint(Step("annotations", 0, {"frames": frames, "boxes": places}))
    return Done({"frames": len(frames), "boxes": len(boxes), "ignored": len(said.boxes) - len(boxes)})


def _is_box(box: Box) -> bool:
    """Whether it is one: parts of files are written by hand."""
    sides = [box[name] for name in ("x", "y", "width", "height")]
    return all(abs(side) < LARGEST_SIDE for side in sides) and box["width"] > 0 and box["height"] > 0


def _coco(path: Path, task: Task) -> Said:
    document = json.loads(_bytes(path))
    names = {each["id"]: str(each["name"]) for each in document["categories"]}
    images = {each["id"]: each for each in document["images"]}
    frames = {key: _number(str(each["file_name"])) for key, each in images.items()}
    boxes = []
    for each in document["annotations"]:
        image = images[each["image_id"]]
        across, down = task.width / image["width"], task.height / image["height"]
        x, y, width, height = (float(value) for value in each["bbox"])
        attributes = {k: v for k, v in each.get("attributes", {}).items() if isinstance(v, str | int)}
        box = _box(frames[each["image_id"]], names[each["category_id"]], attributes)
        boxes.append(box | {"x": x * across, "y": y * down, "width": width * across, "height": height * down})
    return Said(set(frames.values()), boxes)


def _yolo(path: Path, task: Task) -> Said:
    frames: set[int] = set()
    boxes = []
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) > MOST_MEMBERS or sum(info.file_size for info in members) > LARGEST:
            raise ValueError("too large")
        texts = {PurePosixPath(info.filename): info for info in members if info.filename.endswith(".txt")}
        names = _class_names(archive, members)
        for member, info in texts.items():
            frame = _number(member.stem)
            if frame == 0:
                continue  # a list of names, not of boxes
            frames.add(frame)
            boxes += [_yolo_box(line, frame, names, task) for line in archive.read(info).decode().splitlines() if line]
    return Said(frames, boxes)


def _class_names(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> list[str]:
    """From `classes.txt` or `obj.names`, whatever folder it is in."""
    for info in members:
        if PurePosixPath(info.filename).name in {"classes.txt", "obj.names"}:
            return archive.read(info).decode().splitlines()
    raise ValueError("no classes.txt")


def _yolo_box(line: str, frame: int, names: list[str], task: Task) -> Box:
    number, x, y, width, height = line.split()[:5]
    across, down = float(width) * task.width, float(height) * task.height
    left, top = float(x) * task.width - across / 2, float(y) * task.height - down / 2
    return _box(frame, names[int(number)]) | {"x": left, "y": top, "width": across, "height": down}


def _cvat(path: Path, task: Task) -> Said:
    data = _bytes(path)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("no document types here")
    root = ElementTree.fromstring(data)  # noqa: S314 - without a document type there is nothing to expand
    if root.tag != "annotations":
        raise ValueError("not CVAT")
    frames: set[int] = set()
    boxes = []
    for image in root.iter("image"):
        frame = int(image.attrib["id"]) + 1
        frames.add(frame)
        across, down = task.width / float(image.attrib["width"]), task.height / float(image.attrib["height"])
        boxes += [_cvat_box(box, frame, box.attrib["label"], across, down) for box in image.findall("box")]
    for track in root.iter("track"):
        for box in track.findall("box"):
            frame = int(box.attrib["frame"]) + 1
            frames.add(frame)
            if box.attrib.get("outside") != "1":
                boxes.append(_cvat_box(box, frame, track.attrib["label"], 1, 1))
    return Said(frames, boxes)


def _cvat_box(box: ElementTree.Element, frame: int, label: str, across: float, down: float) -> Box:
    left, top, right, bottom = (float(box.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    attributes = {each.attrib["name"]: each.text or "" for each in box.findall("attribute")}
    size = {"width": (right - left) * across, "height": (bottom - top) * down}
    return _box(frame, label, attributes) | {"x": left * across, "y": top * down} | size


def _box(frame: int, label: str, attributes: Mapping[str, Any] | None = None) -> Box:
    if not label.isprintable() or not 0 < len(label) <= LONGEST_LABEL:
        raise ValueError("a label is text")
    return {"frame": frame, "label": label, "attributes": dict(attributes or {})}


def _number(name: str) -> int:
    """The number that ends a picture's name; 0 when none does."""
    found = re.findall(r"\d+", PurePosixPath(name).stem)
    return int(found[-1]) if found else 0


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise ValueError("too large")
    return path.read_bytes()


READERS: Mapping[str, Callable[[Path, Task], Said]] = {"coco": _coco, "yolo": _yolo, "cvat": _cvat}
