"""Points in pictures: the stage that all analyses share, and what is said about its result."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from consumers.analyzer import engines, footage, tables
from consumers.analyzer.footage import Footage
from consumers.analyzer.poses import PLANE, Track
from consumers.analyzer.stage import Made, Stage, done
from consumers.artifacts import Step
from consumers.ports import AnalysisWorkspace, Model
from schemas.analyses import Posed

STEM = "poses"


@dataclass(frozen=True)
class Span:
    """A part of a job's progress, from `low` to `high` percent."""

    workspace: AnalysisWorkspace
    low: float = 0
    high: float = 100

    def tell(self, share: float) -> None:
        """How much of this part is done, 0 to 1."""
        self.workspace.progress(self.low + share * (self.high - self.low))

    def part(self, low: float, high: float) -> "Span":
        """A part of this part, by shares."""
        width = self.high - self.low
        return Span(self.workspace, self.low + low * width, self.low + high * width)


@dataclass(frozen=True)
class Found:
    """The points of a video, and the step that keeps them."""

    footage: Footage
    track: Track
    step: Step


def of_video(
    workspace: AnalysisWorkspace, file: str, model: Model, params: Posed, span: Span, ordinal: int = 0, folder: str = ""
) -> Found:
    """The points in every frame of a video. Raises Rejected for a video or a model that is none."""
    film = footage.look(workspace.input(file))
    fresh: list[Track] = []

    def make() -> Made:
        values = engines.find(model, footage.frames(film, span.tell), params.batch_size, workspace.device)
        warnings = footage.checked(film, len(values), params.allow_damaged)
        fresh.append(Track(engines.scorer_of(model), engines.points_of(model), PLANE, values))
        artifacts, more = tables.stored(workspace, fresh[0], folder, STEM)
        return {"frames": len(values), "warnings": warnings + more}, artifacts

    needs = [file, model.digest, engines.engine_of(model), engines.scorer_of(model), params.allow_damaged]
    step = done(workspace, Stage(STEM, ordinal, needs, folder), make, params.force)
    return Found(film, fresh[0] if fresh else tables.loaded(workspace, step, STEM), step)


def of_picture(workspace: AnalysisWorkspace, file: str, model: Model) -> tuple[footage.Picture, Track]:
    """The points in one picture, as a track of one frame."""
    picture = footage.picture(workspace.input(file))
    values = engines.find(model, [picture], 1, workspace.device)
    return picture, Track(engines.scorer_of(model), engines.points_of(model), PLANE, values)


def cutoff(params: Posed, model: Model) -> float:
    """Below it a point counts as missing."""
    return float(params.pcutoff if params.pcutoff is not None else model.details["pcutoff"])


def summary(track: Track, pcutoff: float) -> dict[str, Any]:
    """Frames, mean likelihood and missing points; of all, and of each point."""
    missing = (~track.seen(pcutoff)).sum(axis=0)
    each = {
        point: {"mean_likelihood": _mean(track.values[:, n, 2]), "missing": int(missing[n])}
        for n, point in enumerate(track.points)
    }
    return {
        "frames": track.frames,
        "pcutoff": pcutoff,
        "mean_likelihood": _mean(track.values[..., 2]),
        "missing": int(missing.sum()),
        "points": each,
    }


def provenance(model: Model) -> dict[str, Any]:
    """Which model did the work, and what ran it."""
    return {
        "name": model.name,
        "version": model.version,
        "kind": model.kind,
        "digest": model.digest,
        "engine": engines.engine_of(model),
    }


def _mean(values: Any) -> float:
    return round(float(np.nanmean(values)), 6)
