"""Points over time as a table: DeepLabCut's three header lines, then a line for each frame, as CSV and HDF5."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANE = ("x", "y", "likelihood")
SPACE = ("x", "y", "z")
HDF_KEY = "df_with_missing"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """Points over time: `values` has frames x points x the three `coords`. What was not found is NaN."""

    scorer: str
    points: tuple[str, ...]
    coords: tuple[str, str, str]
    values: Values

    @property
    def frames(self) -> int:
        """How many frames it covers."""
        return len(self.values)

    def seen(self, pcutoff: float) -> NDArray[np.bool_]:
        """Frames x points: whether a point of the plane is there, with at least this likelihood."""
        found: NDArray[np.bool_] = (self.values[..., 2] >= pcutoff) & np.isfinite(self.values).all(axis=-1)
        return found


def write_csv(track: Track, path: Path) -> None:
    """Write the table with every digit that counts; what was not found is an empty cell."""
    write_table(path, track.scorer, track.points, track.coords, track.values)


def write_table(path: Path, scorer: str, points: Sequence[str], coords: Sequence[str], values: Values) -> None:
    """The same for frames x points x any coordinates."""
    columns = [(point, coord) for point in points for coord in coords]
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(_line("scorer", [scorer] * len(columns)))
        out.write(_line("bodyparts", [point for point, _ in columns]))
        out.write(_line("coords", [coord for _, coord in columns]))
        for number, row in enumerate(values.reshape(len(values), -1).tolist()):
            out.write(_line(str(number), ["" if cell != cell else repr(cell) for cell in row]))  # noqa: PLR0124 - NaN


def read_csv(path: Path) -> Track:
    """Read a table that `write_csv` has written."""
    with path.open(encoding="utf-8") as source:
        scorer, points, coords = (source.readline().rstrip("\n").split(",")[1:] for _ in range(3))
        rows = [[float(cell) if cell else np.nan for cell in line.rstrip("\n").split(",")[1:]] for line in source]
    names = tuple(dict.fromkeys(points))
    values = np.array(rows, float).reshape(len(rows), len(names), 3)
    return Track(scorer[0], names, (coords[0], coords[1], coords[2]), values)


def write_hdf(track: Track, path: Path) -> bool:
    """Write the table as DeepLabCut's HDF5. False where the packages for it are not installed."""
    if find_spec("pandas") is None or find_spec("tables") is None:
        return False
    import pandas as pd  # noqa: PLC0415 - heavy, and not everywhere

    names = ["scorer", "bodyparts", "coords"]
    columns = pd.MultiIndex.from_product([[track.scorer], track.points, track.coords], names=names)
    frame: Any = pd.DataFrame(track.values.reshape(track.frames, -1), columns=columns)
    # Without an index for searches in the file: it takes as long as the table, and nobody searches.
    frame.to_hdf(path, key=HDF_KEY, format="table", mode="w", index=False)
    return True


def _line(first: str, cells: Sequence[str]) -> str:
    return ",".join([first, *cells]) + "\n"
