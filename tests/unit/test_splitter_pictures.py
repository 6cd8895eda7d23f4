"""Thumbnails: within 250 x 250, aspect kept, never enlarged."""

import cv2
import numpy as np
import pytest

from consumers.splitter.pictures import jpeg, thumbnail


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, (250, 141)),
        (1080, 1920, (141, 250)),
        (1000, 1000, (250, 250)),
        (250, 250, (250, 250)),
        (120, 90, (120, 90)),
        (251, 3, (250, 3)),
        (4000, 2, (250, 1)),
    ],
)
def test_a_thumbnail_fits_and_keeps_its_aspect(width: int, height: int, expected: tuple[int, int]) -> None:
    small = thumbnail(np.zeros((height, width, 3), np.uint8))
    assert (small.shape[1], small.shape[0]) == expected


def test_quality_is_quality() -> None:
    grain = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    sizes = [len(jpeg(grain, quality)) for quality in (10, 50, 90, 100)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 4
    smooth = cv2.GaussianBlur(grain, (0, 0), 9)
    again = np.asarray(cv2.imdecode(np.frombuffer(jpeg(np.asarray(smooth, np.uint8), 90), np.uint8), cv2.IMREAD_COLOR))
    assert np.abs(again.astype(int) - smooth).max() <= 12
