"""Which boxes count, as which class, and what is left of them within the picture. Pure.

A box fits a rule when its label is the rule's and its attributes are exactly the rule's, in whatever order; a rule
without attributes takes any. A box that fits several rules counts for each. Classes count from 0 over enabled rules.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.datasets import LabelRule

Object = dict[str, Any]


def objects(
    boxes: Sequence[Mapping[str, Any]], rules: Sequence[LabelRule], classes: Sequence[str], width: int, height: int
) -> tuple[list[Object], int]:
    """The objects of a picture, `{class, x, y, width, height}` in pixels within it, and how many boxes fit nothing.

    Without rules every label is a class, whose number is its place in `classes`.
    """
    made: list[Object] = []
    unmatched = 0
    for box in boxes:
        fitting = _classes_of(box, rules, classes)
        unmatched += not fitting
        inside = clipped(box["x"], box["y"], box["width"], box["height"], width, height)
        if inside is not None:
            made += [{"class": number, **inside} for number in fitting]
    return made, unmatched


def clipped(x: float, y: float, width: float, height: float, across: int, down: int) -> dict[str, float] | None:
    """What of a box lies within a picture of this size; None when nothing does."""
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + width, float(across)), min(y + height, float(down))
    if right <= left or bottom <= top:
        return None
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def text(made: Sequence[Object], width: int, height: int) -> bytes:
    """YOLO label text: class, centre and size as shares of the picture; empty for a picture without objects."""
    return "".join(
        f"{each['class']} {(each['x'] + each['width'] / 2) / width:.8f} {(each['y'] + each['height'] / 2) / height:.8f}"
        f" {each['width'] / width:.8f} {each['height'] / height:.8f}\n"
        for each in made
    ).encode()


def _classes_of(box: Mapping[str, Any], rules: Sequence[LabelRule], classes: Sequence[str]) -> list[int]:
    if not rules:
        return [classes.index(box["label"])]
    enabled = [rule for rule in rules if rule.enabled]
    return [number for number, rule in enumerate(enabled) if _fits(box, rule)]


def _fits(box: Mapping[str, Any], rule: LabelRule) -> bool:
    return box["label"] == rule.label and (rule.attributes is None or box["attributes"] == rule.attributes)
