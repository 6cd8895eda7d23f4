"""DeepLabCut, kept warm: imported once in the life of a child, each model loaded once and kept while there is room.

The network is built and run by DeepLabCut's own runner, so coordinates are those of `deeplabcut.analyze_videos`. Its
functions that work on files are not used: they report success for what they left out (a video cut short, an output that
was not written), and keep state in the folders they work in.
"""

import contextlib
import io
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consumers.analyzer.footage import Picture
from consumers.outcome import JobError, Rejected
from consumers.ports import Model

CONFIG, SNAPSHOT = "pytorch_config.yaml", "snapshot.pt"
#: A network takes about three times its snapshot; so much of them stays loaded.
ROOM = 4 * 1024**3
TIMES_SNAPSHOT = 3

_loaded: OrderedDict[tuple[str, int, str], Any] = OrderedDict()
_weights: dict[tuple[str, int, str], int] = {}


@lru_cache(maxsize=1)
def engine() -> str:
    """What does the work, with its version. Raises JobError(`engine_unavailable`)."""
    try:
        return f"deeplabcut {version('deeplabcut')}, torch {version('torch')}"
    except PackageNotFoundError:
        message = "DeepLabCut is not installed where this consumer runs (the extra `analyzer`)."
        raise JobError("engine_unavailable", message) from None


def find(model: Model, pictures: Iterable[Picture], batch_size: int, device: str) -> NDArray[np.float64]:
    """Frames x points x (x, y, likelihood) for every picture. Raises Rejected(`model_unusable`) and JobError."""
    key = (model.digest, batch_size, device)
    runner = _runner(key, model, batch_size, device)
    try:
        predicted = runner.inference(images=_turned(pictures))
        found = [np.asarray(each["bodyparts"], float)[0, :, :3] for each in predicted]
    except BaseException as error:
        # It keeps the unfinished batches, and would mix them into the next video.
        _forget(key)
        raise _translated(error) from error
    if found and found[0].shape[0] != len(model.details["points"]):
        raise Rejected("model_unusable", "The network finds other points than its configuration says.")
    return np.stack(found) if found else np.empty((0, len(model.details["points"]), 3))


def _turned(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Red first, as the network has learned it."""
    for picture in pictures:
        yield np.ascontiguousarray(picture[..., ::-1])


def _runner(key: tuple[str, int, str], model: Model, batch_size: int, device: str) -> Any:
    if key in _loaded:
        _loaded.move_to_end(key)
        return _loaded[key]
    assert model.folder is not None
    weight = TIMES_SNAPSHOT * (model.folder / SNAPSHOT).stat().st_size
    while _loaded and sum(_weights.values()) + weight > ROOM:
        _forget(next(iter(_loaded)))
    _loaded[key] = _built(model.folder, batch_size, device)
    _weights[key] = weight
    return _loaded[key]


def _forget(key: tuple[str, int, str]) -> None:
    _loaded.pop(key, None)
    _weights.pop(key, None)


def _built(folder: Path, batch_size: int, device: str) -> Any:
    package = _imported()
    if device.startswith("cuda") and not sys.modules["torch"].cuda.is_available():
        raise JobError("device_unavailable", f"The device {device} is not there.")
    try:
        config = package.config.read_config_as_dict(folder / CONFIG)
        config.setdefault("runner", {})["load_weights_only"] = True
        return package.get_pose_inference_runner(
            config, snapshot_path=folder / SNAPSHOT, batch_size=batch_size, device=device
        )
    except MemoryError:
        raise
    except Exception as error:  # torch has a different one, also of the system's, for each way to be damaged
        message = f"The model cannot be loaded ({type(error).__name__}): snapshot and configuration do not fit."
        raise Rejected("model_unusable", message) from error


def _imported() -> Any:
    """DeepLabCut's package for PyTorch; it talks while it is imported."""
    engine()
    with contextlib.redirect_stdout(io.StringIO()):
        import deeplabcut.pose_estimation_pytorch as package  # noqa: PLC0415 - takes seconds, and is not everywhere
    return package


def _translated(error: BaseException) -> BaseException:
    if type(error).__name__ == "OutOfMemoryError":
        return JobError("out_of_memory", "The device ran out of memory; a smaller `batch_size` takes less.")
    if isinstance(error, ValueError | RuntimeError | KeyError | IndexError):
        return Rejected("model_unusable", f"The network cannot be run on this input ({type(error).__name__}).")
    return error
