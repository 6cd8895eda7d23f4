"""Archive formats: how a dataset is written down. A new one is a class here and a line in `FORMATS`.

The archive calls `picture` for each picture, whose bytes it writes itself under the name that the format gives, and
`finish` at the end. All formats have the same pictures and the same boxes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from xml.sax.saxutils import escape, quoteattr

from consumers.datasets import labels

FOLDERS = {"training": "train", "validation": "val", "testing": "test"}
Member = tuple[str, bytes]


@dataclass(frozen=True)
class Picture:
    """One picture: its split, a name that is unique in the dataset, its size and its objects."""

    split: str
    name: str
    width: int
    height: int
    objects: Sequence[labels.Object]

    @property
    def folder(self) -> str:
        """The split as training tools call it."""
        return FOLDERS[self.split]


class Format(Protocol):
    """How a dataset is written down."""

    def place(self, picture: Picture) -> str:
        """The member that is the picture itself."""

    def picture(self, picture: Picture) -> Iterator[Member]:
        """What is written beside it."""

    def finish(self) -> Iterator[Member]:
        """What is written once, at the end."""


@dataclass
class Yolo:
    """The layout of Ultralytics: `images/<split>`, `labels/<split>`, `data.yaml`, and a list of each split."""

    classes: Sequence[str]
    lists: dict[str, list[str]] = field(default_factory=lambda: {folder: [] for folder in FOLDERS.values()})

    def place(self, picture: Picture) -> str:
        """Below `images`."""
        return f"images/{picture.folder}/{picture.name}.jpg"

    def picture(self, picture: Picture) -> Iterator[Member]:
        """Its label text; empty when nothing is on it."""
        self.lists[picture.folder].append(f"./{self.place(picture)}\n")
        text = labels.text(picture.objects, picture.width, picture.height)
        yield f"labels/{picture.folder}/{picture.name}.txt", text

    def finish(self) -> Iterator[Member]:
        """`data.yaml`, `classes.txt`, and the lists."""
        # No `path`: without one, places count from where `data.yaml` lies. With `.` they count from where one stands.
        lines = []
        filled = [folder for folder, pictures in self.lists.items() if pictures]
        for folder, pictures in self.lists.items():
            # Training does not start without something to validate on.
            shown = folder if pictures or folder == "test" else filled[0]
            lines += [f"{folder}: images/{shown}"] if shown in filled else []
            yield f"{folder}.txt", "".join(pictures).encode()
        lines += [f"nc: {len(self.classes)}", "names:"]
        lines += [f"  {number}: {json.dumps(name)}" for number, name in enumerate(self.classes)]
        yield "data.yaml", ("\n".join(lines) + "\n").encode()
        yield "classes.txt", "".join(f"{name}\n" for name in self.classes).encode()


@dataclass
class Coco:
    """`annotations/instances_<split>.json`; ids count from 1, boxes are x, y, width and height in pixels."""

    classes: Sequence[str]
    images: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {folder: [] for folder in FOLDERS.values()})
    boxes: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {folder: [] for folder in FOLDERS.values()})

    def place(self, picture: Picture) -> str:
        """Below `images`."""
        return f"images/{picture.folder}/{picture.name}.jpg"

    def picture(self, picture: Picture) -> Iterator[Member]:
        """Nothing of its own: it is noted for its split's document."""
        images, boxes = self.images[picture.folder], self.boxes[picture.folder]
        image = len(images) + 1
        size = {"width": picture.width, "height": picture.height}
        images.append({"id": image, "file_name": f"{picture.name}.jpg", **size})
        for each in picture.objects:
            box = [each["x"], each["y"], each["width"], each["height"]]
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": image,
                    "category_id": each["class"] + 1,
                    "bbox": box,
                    "area": each["width"] * each["height"],
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
        return iter(())

    def finish(self) -> Iterator[Member]:
        """A document for each split."""
        categories = [{"id": n + 1, "name": name, "supercategory": ""} for n, name in enumerate(self.classes)]
        for folder, images in self.images.items():
            document = {"images": images, "annotations": self.boxes[folder], "categories": categories}
            yield f"annotations/instances_{folder}.json", json.dumps(document).encode()


@dataclass
class Voc:
    """Pascal VOC: `JPEGImages`, `Annotations`, and a list of each split in `ImageSets/Main`. Corners count from 0."""

    classes: Sequence[str]
    lists: dict[str, list[str]] = field(default_factory=lambda: {folder: [] for folder in FOLDERS.values()})

    def place(self, picture: Picture) -> str:
        """In `JPEGImages`."""
        return f"JPEGImages/{picture.name}.jpg"

    def picture(self, picture: Picture) -> Iterator[Member]:
        """Its XML document."""
        self.lists[picture.folder].append(f"{picture.name}\n")
        objects = "".join(self._object(each) for each in picture.objects)
        document = (
            f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{escape(picture.name)}.jpg</filename>\n"
            f"  <size><width>{picture.width}</width><height>{picture.height}</height><depth>3</depth></size>\n"
            f"  <segmented>0</segmented>\n{objects}</annotation>\n"
        )
        yield f"Annotations/{picture.name}.xml", document.encode()

    def finish(self) -> Iterator[Member]:
        """The lists, and the names of the classes."""
        for folder, names in self.lists.items():
            yield f"ImageSets/Main/{folder}.txt", "".join(names).encode()
        items = "".join(f"  <label name={quoteattr(name)}/>\n" for name in self.classes)
        yield "labels.xml", f"<labels>\n{items}</labels>\n".encode()

    def _object(self, each: labels.Object) -> str:
        right, bottom = each["x"] + each["width"], each["y"] + each["height"]
        return (
            f"  <object><name>{escape(self.classes[each['class']])}</name><pose>Unspecified</pose>"
            f"<truncated>0</truncated><difficult>0</difficult><bndbox><xmin>{each['x']!r}</xmin>"
            f"<ymin>{each['y']!r}</ymin><xmax>{right!r}</xmax><ymax>{bottom!r}</ymax></bndbox></object>\n"
        )


FORMATS: Mapping[str, Callable[[Sequence[str]], Format]] = {"yolo": Yolo, "coco": Coco, "voc": Voc}
