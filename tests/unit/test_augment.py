"""Augmentations: every type, with pixels and boxes that agree, and the same outcome for the same seed."""

import numpy as np
import pytest

from consumers.datasets.augment import GEOMETRY, PIXELS, augmented
from consumers.datasets.labels import objects, text
from schemas.augmentation import TYPES, Augmentation
from schemas.datasets import LabelRule

WIDTH, HEIGHT = 160, 120
BOX = {"class": 3, "x": 70.0, "y": 40.0, "width": 30.0, "height": 20.0}


def scene() -> np.ndarray:
    """A light box on a dark ground."""
    picture = np.full((HEIGHT, WIDTH, 3), (30, 20, 10), np.uint8)
    picture[40:60, 70:100] = (220, 230, 240)
    return picture


def lit(picture: np.ndarray) -> tuple[float, float, float, float]:
    """Where the light is: x, y, width, height."""
    rows, columns = np.nonzero(picture[:, :, 2] > 120)
    return (
        float(columns.min()),
        float(rows.min()),
        float(columns.max() + 1 - columns.min()),
        float(rows.max() + 1 - rows.min()),
    )


@pytest.mark.row("S3-28")
@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_box_is_where_the_pixels_are(name: str) -> None:
    assert (name in GEOMETRY) is not (name in PIXELS)
    interval = Augmentation(type=name).interval
    changed, [box] = augmented(name, scene(), [BOX], interval, np.random.default_rng(5))
    again, [same] = augmented(name, scene(), [BOX], interval, np.random.default_rng(5))
    assert np.array_equal(changed, again)
    assert box == same
    assert box["class"] == 3
    assert changed.dtype == np.uint8
    if name in GEOMETRY:
        assert np.allclose(lit(changed), [box[side] for side in ("x", "y", "width", "height")], atol=2)
    else:
        assert box == BOX
        assert changed.shape == (HEIGHT, WIDTH, 3)
        assert name in {"hue_add", "hue_multiply", "blur_median"} or not np.array_equal(changed, scene())


@pytest.mark.row("S3-28")
def test_horizontal_is_left_to_right_and_a_quarter_turn_is_clockwise() -> None:
    random = np.random.default_rng(0)
    flipped, [box] = augmented("flip_horizontal", scene(), [BOX], (0, 0), random)
    assert np.array_equal(flipped, scene()[:, ::-1])
    assert (box["x"], box["y"]) == (WIDTH - 100, 40)
    turned, [box] = augmented("rotate_90", scene(), [BOX], (0, 0), random)
    assert np.array_equal(turned, np.rot90(scene(), -1))
    assert (box["x"], box["y"], box["width"], box["height"]) == (HEIGHT - 60, 70, 20, 30)


@pytest.mark.row("S3-28")
def test_a_box_that_leaves_the_picture_is_cut_off_or_dropped() -> None:
    edge = {"class": 0, "x": 0.0, "y": 0.0, "width": 30.0, "height": 20.0}
    _, kept = augmented("shear_x", scene(), [edge, BOX], (45, 45), np.random.default_rng(0))
    assert [each["class"] for each in kept] == [3]
    assert all(0 <= each["x"] <= each["x"] + each["width"] <= WIDTH for each in kept)


@pytest.mark.row("S3-25", "S3-26")
def test_labels_match_whole_attributes_whatever_their_order() -> None:
    rules = [
        LabelRule(label="a b", attributes={"x": 1, "y": "2"}),
        LabelRule(label="off", enabled=False),
        LabelRule(label="a b"),
        LabelRule(label="a b", attributes={}),
    ]
    box = {"label": "a b", "x": -5, "y": 10, "width": 20, "height": 10, "attributes": {"y": "2", "x": 1}}
    found, unmatched = objects([box, box | {"label": "off"}], rules, [], 100, 50)
    assert [each["class"] for each in found] == [0, 1]
    assert unmatched == 1
    assert text(found[:1], 100, 50) == b"0 0.07500000 0.30000000 0.15000000 0.20000000\n"
    assert text([], 100, 50) == b""
    outside, _ = objects([box | {"x": 100}], rules, [], 100, 50)
    assert outside == []
