"""Footage for the bench: the real clip, enlarged to 1080p, with a sensor's noise, over and over."""

import subprocess
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from tests.clips import real_clip

WIDTH, HEIGHT, RATE = 1920, 1080, 30
NOISE = 2
GRAINS = 6


def footage(path: Path, *, seconds: int, b_frames: int) -> Path:
    """Write 1080p30 H.264 at 5 Mb/s, a keyframe every two seconds, `b_frames` between references (0: none)."""
    # A fixed pattern, as the encoders in cameras and phones use: noise looks like cuts, and would end B-frames there.
    options = {"preset": "veryfast", "b": "5000000", "g": str(2 * RATE), "bf": str(b_frames)}
    options |= {"b_strategy": "0", "sc_threshold": "0"}
    with av.open(path, mode="w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        codec = stream.codec_context
        codec.width, codec.height, codec.pix_fmt, codec.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, RATE)
        for number, frame in enumerate(islice(_noisy(), seconds * RATE)):
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def over_and_over(clip: Path, path: Path, times: int) -> Path:
    """Write `clip` so many times in a row, without a new encoding. Needs ffmpeg."""
    part = path.with_suffix(f".part{path.suffix}")
    again = ("ffmpeg", "-nostdin", "-y", "-v", "error", "-stream_loop", str(times - 1), "-i", clip)
    subprocess.run([*again, "-c", "copy", part], check=True)
    return part.rename(path)


def _noisy() -> Iterator[av.VideoFrame]:
    dice = np.random.default_rng(1)
    grains = [dice.normal(0, NOISE, (HEIGHT, WIDTH)).round().astype(np.int16) for _ in range(GRAINS)]
    number = 0
    while True:
        with av.open(real_clip(), mode="r") as container:
            for frame in container.decode(container.streams.video[0]):
                planes = frame.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="BICUBIC").to_ndarray()
                grain = np.roll(grains[number % GRAINS], 37 * number, axis=1)
                planes[:HEIGHT] = np.clip(planes[:HEIGHT] + grain, 0, 255)
                yield av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
                number += 1
