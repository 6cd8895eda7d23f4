"""The calibration in a DeepLabCut 3-D project. It is a pickle, so it is read by a reader that knows arrays and no more.

Decision. Users have this file and no other, and a pickle may run anything. The reader below resolves only the names
that numpy's own arrays need; every other name ends it, before anything is called. What comes out is plain numbers, and
only those are kept. The price: calibrations by unheard-of versions of numpy have to be given as `cameras`.
"""

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from infra.models import documents
from infra.models.archive import Unusable, opened
from infra.models.project import find
from schemas.models import Camera

STEREO = "camera_matrix/stereo_params.pickle"
LARGEST = 1024 * 1024
CAMERAS = 2
_RECONSTRUCT = np.empty(0).__reduce__()[0]


def _of_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """An array of numbers over bytes, as protocol 5 has it. Arrays of objects are refused by numpy."""
    return np.frombuffer(data, dtype).reshape(shape, order=order)


#: All that a pickled array of numbers refers to, under the names that numpy 1 and 2 write.
KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _of_buffer,
    ("numpy._core.numeric", "_frombuffer"): _of_buffer,
    ("_codecs", "encode"): lambda text, encoding: text.encode(encoding) if encoding == "latin1" else b"",
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """One of the known names, or the end."""
        try:
            return KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError("not an array") from None


def read(path: Path) -> dict[str, Any]:
    """The cameras, the skeleton and the cut-off in an archive of a 3-D project. Raises Unusable."""
    with opened(path) as archive:
        root, project = find(archive, "camera_names")
        names = documents.names(documents.field(project, "camera_names", list), "camera_names", CAMERAS)
        if len(names) != CAMERAS:
            raise Unusable("unsupported_model", "A rig has two cameras.")
        member = str(root / STEREO)
        if member not in archive.names:
            raise Unusable("model_without_calibration", f"The project has no {STEREO}: calibrate the cameras first.")
        stereo = _unpickled(archive.read(member, LARGEST))
        return {
            "cameras": _cameras(stereo, names),
            "pcutoff": documents.number(project, "pcutoff", 0.4),
        }


def _cameras(stereo: Any, names: list[str]) -> list[dict[str, Any]]:
    values = stereo.get("-".join(names)) if isinstance(stereo, dict) else None
    if not isinstance(values, dict):
        raise _bad()
    try:
        return [
            Camera(
                name=name,
                projection=_matrix(values[f"P{n}"], (3, 4)),
                matrix=_matrix(values[f"cameraMatrix{n}"], (3, 3)),
                distortion=[float(x) for x in np.asarray(values[f"distCoeffs{n}"], float).ravel()],
                rectification=_matrix(values[f"R{n}"], (3, 3)),
            ).model_dump(mode="json")
            for n, name in enumerate(names, start=1)
        ]
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise _bad() from error


def _matrix(value: Any, shape: tuple[int, int]) -> list[list[float]]:
    rows: list[list[float]] = np.asarray(value, float).reshape(shape).tolist()
    if not all(math.isfinite(number) for row in rows for number in row):
        raise ValueError("not a finite number")
    return rows


def _unpickled(data: bytes) -> Any:
    try:
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:  # whatever a stranger's bytes do to the reader
        raise _bad() from error


def _bad() -> Unusable:
    return Unusable("bad_calibration", "The calibration cannot be read: it holds something else than two cameras.")
