"""Two charts of a track as PNG: where the points went, and how sure the engine was."""

import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.analyzer.drawing import colours
from consumers.analyzer.footage import Picture
from consumers.analyzer.poses import Track

WIDTH, HEIGHT = 960, 540
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 40, 50
INK, GRID = (60, 60, 60), (225, 225, 225)
STEPS = 5


def trajectories(track: Track, pcutoff: float, size: tuple[int, int]) -> bytes:
    """The paths of the points in the picture's own coordinates. `size`: its width and height."""
    chart = _Chart("trajectories (pixels)", (0, size[0]), (size[1], 0))
    seen = track.seen(pcutoff)
    for n, colour in enumerate(colours(len(track.points))):
        path = np.where(seen[:, n, None], track.values[:, n, :2], np.nan)
        chart.line(path[:, 0], path[:, 1], colour)
    chart.legend(track.points)
    return chart.png()


def likelihoods(track: Track, pcutoff: float) -> bytes:
    """The likelihood of each point over the frames, and the cut-off."""
    chart = _Chart("likelihood by frame", (0, max(1, track.frames - 1)), (0, 1))
    frames = np.arange(track.frames, dtype=float)
    chart.line(np.array([0.0, max(1, track.frames - 1)]), np.array([pcutoff, pcutoff]), (150, 150, 150))
    for n, colour in enumerate(colours(len(track.points))):
        chart.line(frames, track.values[:, n, 2], colour)
    chart.legend(track.points)
    return chart.png()


class _Chart:
    def __init__(self, title: str, across: tuple[float, float], up: tuple[float, float]) -> None:
        self._picture: Picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        self._across, self._up = across, up
        self._text(title, (LEFT, 25), 0.6)
        for k in range(STEPS + 1):
            share = k / STEPS
            x, y = (
                round(LEFT + share * (WIDTH - LEFT - RIGHT)),
                round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)),
            )
            cv2.line(self._picture, (x, TOP), (x, HEIGHT - BOTTOM), GRID, 1)
            cv2.line(self._picture, (LEFT, y), (WIDTH - RIGHT, y), GRID, 1)
            self._text(f"{across[0] + share * (across[1] - across[0]):.4g}", (x - 12, HEIGHT - BOTTOM + 20), 0.4)
            self._text(f"{up[0] + share * (up[1] - up[0]):.4g}", (12, y + 4), 0.4)

    def line(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
        """A path; where a number is missing it is interrupted."""
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        px = LEFT + (x - self._across[0]) / (self._across[1] - self._across[0]) * width
        py = HEIGHT - BOTTOM - (y - self._up[0]) / (self._up[1] - self._up[0]) * height
        places = np.clip(np.stack([px, py], axis=1), -20_000, 20_000)
        whole = np.asarray(np.isfinite(places).all(axis=1))
        for piece in np.split(np.arange(len(places)), np.flatnonzero(np.diff(whole.astype(int))) + 1):
            if len(piece) and whole[piece[0]]:
                points = np.round(places[piece]).astype(np.int32).reshape(-1, 1, 2)
                cv2.polylines(self._picture, [points], False, colour[::-1], 1, cv2.LINE_AA)

    def legend(self, names: tuple[str, ...]) -> None:
        """The names in their colours, as many as there is room for."""
        for n, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True)):
            y = TOP + 10 + 20 * n
            if y < HEIGHT - BOTTOM:
                cv2.line(self._picture, (WIDTH - RIGHT + 15, y), (WIDTH - RIGHT + 35, y), colour[::-1], 3)
                self._text(name[:18], (WIDTH - RIGHT + 42, y + 4), 0.4)

    def png(self) -> bytes:
        """The chart, encoded."""
        _, encoded = cv2.imencode(".png", self._picture)
        return encoded.tobytes()

    def _text(self, text: str, place: tuple[int, int], size: float) -> None:
        cv2.putText(self._picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
