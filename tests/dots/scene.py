"""The world: where the dots are in space and in each picture, exactly. Pixels are counted from 0 at their centres."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, RATE = 192, 144, 30
POINTS = ("nose", "earl", "earr", "tail")
SKELETON = [["nose", "earl"], ["nose", "earr"], ["earl", "tail"], ["earr", "tail"]]
#: Red, green, blue.
COLOURS = {"nose": (235, 40, 40), "earl": (40, 215, 60), "earr": (60, 90, 250), "tail": (245, 225, 40)}
RADIUS, DISTANCE, FOCAL = 5.0, 24.7, 230.0
BODY = np.array([[2.4, 0.0, 0.3], [0.9, -1.5, -0.3], [0.9, 1.5, -0.3], [-2.6, 0.0, 0.2]])
FINER = 4

Array = NDArray[np.float64]
Hidden = Mapping[int, tuple[int, ...]]


@dataclass(frozen=True)
class Pinhole:
    """A camera without a lens: `matrix`, and the turn and shift from the world to it."""

    matrix: Array
    turn: Array
    shift: Array

    @property
    def projection(self) -> Array:
        """3 x 4."""
        return self.matrix @ np.hstack([self.turn, self.shift[:, None]])

    def see(self, points: Array) -> tuple[Array, Array]:
        """Pixels and depths."""
        placed = points @ self.turn.T + self.shift
        seen = placed @ self.matrix.T
        return seen[..., :2] / seen[..., 2:], placed[..., 2]


def _camera(*eye: float) -> Pinhole:
    at = np.array(eye)
    ahead = -at / np.linalg.norm(at)
    right = np.cross([0.0, 1.0, 0.0], ahead)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(ahead, right), ahead])
    matrix = np.array([[FOCAL, 0, WIDTH / 2 - 0.5], [0, FOCAL, HEIGHT / 2 - 0.5], [0, 0, 1.0]])
    return Pinhole(matrix, turn, -turn @ at)


CAMERAS = {"camera-1": _camera(-6, -1, -24), "camera-2": _camera(6, -1, -24)}


@dataclass(frozen=True)
class Clip:
    """A clip and the truth about it: pixels and visibility, frames x points."""

    path: Path
    pixels: Array
    visible: NDArray[np.bool_]
    space: Array = field(repr=False)


def path_in_space(frames: int, phase: float) -> Array:
    """The stiff body on its way, frames x points x 3."""
    placed = []
    for number in range(frames):
        s = 2 * np.pi * number / 90 + phase
        centre = np.array([2.8 * np.sin(s), 1.8 * np.sin(1.7 * s + 0.6), 1.6 * np.sin(1.3 * s + 1.1)])
        placed.append(BODY @ turned(0.35 * np.sin(1.1 * s), 0.35 * np.cos(0.9 * s), 1.1 * s + phase).T + centre)
    return np.stack(placed)


def turned(x: float, y: float, z: float) -> Array:
    """A rotation, by angles around the axes."""
    turns = (cv2.Rodrigues(np.array(axis, float))[0] for axis in ((0, 0, z), (0, y, 0), (x, 0, 0)))
    first, second, third = (np.asarray(turn, float) for turn in turns)
    product: Array = first @ second @ third
    return product


def background(random: np.random.Generator) -> NDArray[np.uint8]:
    """Soft grey waves."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    a, b = random.uniform(0, 2 * np.pi, 2)
    grey = 105 + 22 * np.sin(columns / 61 + a) + 18 * np.cos(rows / 45 + b)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def render(
    behind: NDArray[np.uint8], pixels: Array, depth: Array, random: np.random.Generator, hidden: tuple[int, ...] = ()
) -> NDArray[np.uint8]:
    """A picture in red, green, blue: dots exact to a fraction of a pixel, far ones first, a little noise."""
    big = cv2.resize(behind, (WIDTH * FINER, HEIGHT * FINER), interpolation=cv2.INTER_LINEAR)
    for n in (n for n in np.argsort(-depth) if n not in hidden):
        x, y = (pixels[n] + 0.5) * FINER - 0.5
        place = (round(float(x) * 16), round(float(y) * 16))
        radius = round(float(RADIUS * DISTANCE / depth[n] * FINER * 16))
        cv2.circle(big, place, radius, COLOURS[POINTS[n]], -1, cv2.LINE_AA, shift=4)
    small = cv2.resize(big, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(float)
    return np.clip(small + random.normal(0, 4, small.shape), 0, 255).astype(np.uint8)


def film(path: Path, camera: str, space: Array, seed: int, hidden: Hidden | None = None) -> Clip:
    """A clip of the body as a camera sees it, written unless it is there. `hidden`: points that are not, by frame."""
    gone = hidden or {}
    if not path.exists():
        write(path, shots(camera, space, seed, gone))
    pixels, _ = CAMERAS[camera].see(space)
    visible = np.ones(pixels.shape[:2], bool)
    for number, points in gone.items():
        visible[number, list(points)] = False
    return Clip(path, pixels, visible, space)


def shots(camera: str, space: Array, seed: int, hidden: Hidden) -> list[NDArray[np.uint8]]:
    """The pictures of such a clip."""
    random = np.random.default_rng(seed)
    pixels, depth = CAMERAS[camera].see(space)
    behind = background(random)
    return [render(behind, pixels[n], depth[n], random, hidden.get(n, ())) for n in range(len(space))]


def write(path: Path, pictures: list[NDArray[np.uint8]], rate: int = RATE) -> Path:
    """Pictures in red, green, blue as H.264."""
    with av.open(path, mode="w") as container:
        options = {"crf": "14", "preset": "veryfast", "g": "15"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        stream.codec_context.thread_count = 1
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def looped(path: Path, clip: Path, times: int) -> Path:
    """A clip again and again: its packets, with later times. Nothing is encoded."""
    with av.open(path, mode="w") as out:
        shown = None
        shift = 0
        for _ in range(times):
            with av.open(clip) as source:
                stream = source.streams.video[0]
                shown = shown or out.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.pts is not None and packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, shown
                        out.mux(packet)
                shift += int(stream.duration or 0)
    return path
