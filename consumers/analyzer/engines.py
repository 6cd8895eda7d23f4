"""Which engine does the work of a model."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from consumers.analyzer import deeplab, spots
from consumers.analyzer.footage import Picture
from consumers.outcome import Rejected
from consumers.ports import Model
from schemas.models import ModelKind


def checked(model: Model, *kinds: ModelKind) -> Model:
    """The model, if it is of one of these kinds. Raises Rejected(`wrong_model`)."""
    if model.kind not in set(kinds):
        raise Rejected("wrong_model", f"{model.reference} is a {model.kind}; this needs one of {', '.join(kinds)}.")
    return model


def engine_of(model: Model) -> str:
    """What does the work, with its version."""
    return deeplab.engine() if model.kind == ModelKind.DLC else spots.ENGINE


def scorer_of(model: Model) -> str:
    """The name in the first line of a table."""
    return (
        str(model.details["scorer"]) if model.kind == ModelKind.DLC else f"reelmill-spots-{model.name}-{model.version}"
    )


def points_of(model: Model) -> tuple[str, ...]:
    """The names of a model's points."""
    return tuple(p["name"] if isinstance(p, dict) else str(p) for p in model.details["points"])


def find(model: Model, pictures: Iterable[Picture], batch_size: int, device: str) -> NDArray[np.float64]:
    """Frames x points x (x, y, likelihood)."""
    if model.kind == ModelKind.DLC:
        return deeplab.find(model, pictures, batch_size, device)
    return spots.find(model.details["points"], pictures)
