"""Makes clips with PyAV and keeps each one for the session: the same recipe is encoded once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tests.clips import barcode

NARROWEST = barcode.BITS * 16


@dataclass(frozen=True)
class Recipe:
    """A clip. `ticks`: each frame's timestamp in 1 / `clock` seconds (default: one every 1 / rate seconds).

    `patch`: a (Y, U, V) colour for the lower half of each picture instead of texture.
    """

    rate: Fraction = Fraction(30)
    frames: int = 60
    width: int = NARROWEST
    height: int = 64
    block: int = 16
    suffix: str = "mp4"
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    rotation: int = 0
    ticks: Sequence[int] | None = None
    clock: int = 90_000
    options: tuple[tuple[str, str], ...] = (("preset", "ultrafast"), ("crf", "18"))
    muxing: tuple[tuple[str, str], ...] = ()
    patch: tuple[int, int, int] | None = None
    colours: tuple[int, int, int, int] | None = None
    """H.273 codes of range (1 limited, 2 full), matrix, primaries, transfer; untagged without them."""
    noise: int = 0


@dataclass(frozen=True)
class Clips:
    """A folder of clips."""

    folder: Path
    made: dict[str, Path] = field(default_factory=dict)

    def make(self, recipe: Recipe) -> Path:
        """The clip, encoded if it is not there yet."""
        name = hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
        path = self.folder / f"{name}.{recipe.suffix}"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".part.{recipe.suffix}")
            encode(recipe, part)
            part.rename(path)
        return path


def encode(recipe: Recipe, path: Path) -> None:
    """Write the clip to `path`."""
    with av.open(path, mode="w", options=dict(recipe.muxing)) as container:
        stream = container.add_stream(recipe.codec, rate=recipe.rate, options=dict(recipe.options))
        assert isinstance(stream, VideoStream)
        _describe(stream, recipe)
        tick = Fraction(1, recipe.clock) if recipe.ticks else 1 / recipe.rate
        for number in range(recipe.frames):
            frame = av.VideoFrame.from_ndarray(picture(recipe, number), format="yuv420p")
            frame = frame.reformat(width=recipe.width, height=recipe.height, format=recipe.pix_fmt)
            frame.pts = recipe.ticks[number] if recipe.ticks else number
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _describe(stream: VideoStream, recipe: Recipe) -> None:
    codec = stream.codec_context
    codec.width, codec.height, codec.pix_fmt = recipe.width, recipe.height, recipe.pix_fmt
    codec.time_base = Fraction(1, recipe.clock) if recipe.ticks else 1 / recipe.rate
    codec.thread_count = 1 if recipe.width < 640 else 0
    if recipe.colours:
        codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc = recipe.colours
    if recipe.rotation:
        stream.set_display_rotation(recipe.rotation)


def picture(recipe: Recipe, number: int) -> NDArray[np.uint8]:
    """The planes of frame `number` as PyAV takes yuv420p: (height * 3 / 2, width), sizes rounded up to even."""
    width, height = recipe.width + recipe.width % 2, recipe.height + recipe.height % 2
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    luma = planes[:height]
    if recipe.patch:
        _paint(planes, height, width, recipe.patch)
    else:
        columns = np.arange(width, dtype=np.uint16) + 3 * number
        rows = np.arange(height, dtype=np.uint16)[:, None]
        luma[:] = 60 + (columns ^ rows) % 128
    if recipe.noise:
        grain = np.random.default_rng(number).integers(0, recipe.noise, luma.shape, np.uint8)
        luma += grain
    barcode.draw(luma, number, recipe.block)
    return planes


def _paint(planes: NDArray[np.uint8], height: int, width: int, patch: tuple[int, int, int]) -> None:
    half = height // 2
    planes[:height] = 128
    planes[half:height] = patch[0]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    chroma[0, half // 2 :], chroma[1, half // 2 :] = patch[1], patch[2]
