"""Detectors: the built-in one, and models in ONNX format, of which a small one is written by hand."""

from pathlib import Path

import numpy as np
import pytest

from consumers.annotation.detectors import detector
from consumers.outcome import Rejected
from schemas.detection import Detector
from tests.onnx import model


@pytest.mark.row("S3-16")
def test_a_model_finds_boxes_of_its_classes_in_pixels_of_the_frame(tmp_path: Path) -> None:
    # Five boxes as columns: centre, size, and how sure of each of two classes. The second is nearly the first.
    boxes = np.array(
        [
            [160, 80, 64, 32, 0.9, 0.1],
            [162, 80, 64, 32, 0.8, 0.1],
            [80, 40, 20, 20, 0.2, 0.7],
            [40, 40, 20, 20, 0.3, 0.2],
            [318, 160, 20, 20, 0.0, 0.6],
        ]
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(model(boxes.T[None], 320))
    settings = Detector(labels=["car", "person"], size=320)
    [found, again] = detector(settings, path).find([np.zeros((360, 640, 3), np.uint8)] * 2)
    assert found == again
    told = {(box.label, round(box.x), round(box.y), round(box.width), round(box.height)) for box in found}
    assert told == {("car", 256, 128, 128, 64), ("person", 140, 60, 40, 40), ("person", 616, 300, 24, 40)}
    assert sorted(round(box.confidence, 3) for box in found) == [0.6, 0.7, 0.9]


@pytest.mark.row("S3-20")
def test_what_is_no_model_of_these_labels_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(Rejected) as refused:
        detector(Detector(), path)
    assert refused.value.code == "unreadable_model"
    path.write_bytes(model(np.zeros((1, 6, 5)), 320))
    with pytest.raises(Rejected) as refused:
        detector(Detector(labels=["one", "two", "three"], size=320), path).find([np.zeros((10, 10, 3), np.uint8)])
    assert refused.value.code == "unusable_model"
