"""Points in space: the points of both cameras, joined by the rig's calibration, and drawn from one side."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consumers.analyzer import engines, plane, space, tables
from consumers.analyzer.drawing import Pen
from consumers.analyzer.film import Film
from consumers.analyzer.plane import Found, Span
from consumers.analyzer.poses import SPACE, Track
from consumers.analyzer.scene import SIZE, Scene
from consumers.analyzer.stage import Made, Stage, done
from consumers.artifacts import Step
from consumers.outcome import Rejected
from consumers.ports import AnalysisWorkspace, Model
from schemas.analyses import Label3D, Paired
from schemas.models import Camera, ModelKind

STEM = "points"
#: As DeepLabCut names it in the first line.
SCORER = "DLC_3D"
#: Two cameras and the triangulation come before whatever follows.
ORDINALS = 3


@dataclass(frozen=True)
class Placed:
    """Points in space, the step that keeps them, and the rate of the videos that they came from."""

    track: Track
    step: Step
    rate: Fraction
    views: tuple[Found, Found]


def found(workspace: AnalysisWorkspace, rig: Model, params: Paired, span: Span) -> Placed:
    """The points in space. Raises Rejected: `unknown_camera`, `same_camera`, `lengths_differ`, and for bad videos."""
    cameras = _cameras(rig, params)
    models = {c["name"]: name for c, name in zip(rig.details["cameras"], rig.details["models"], strict=True)}
    views = []
    for n, (camera, file) in enumerate(zip(cameras, (params.file, params.file2), strict=True)):
        model = engines.checked(workspace.model(models[camera.name]), ModelKind.DLC, ModelKind.TRACKER)
        part = span.part(n * 0.48, (n + 1) * 0.48)
        views.append(plane.of_video(workspace, file, model, params, part, n, f"{camera.name}/"))
    first, second = views
    if first.track.frames != second.track.frames:
        message = f"The videos have {first.track.frames} and {second.track.frames} frames: they are not of one scene."
        raise Rejected("lengths_differ", message)
    pcutoff = plane.cutoff(params, rig)
    fresh: list[Track] = []

    def make() -> Made:
        track, away = _placed(cameras, (first.track, second.track), rig, pcutoff, params.undistort)
        fresh.append(track)
        artifacts, warnings = tables.stored(workspace, track, "", STEM)
        return {"warnings": warnings, "reprojection_pixels": away}, artifacts

    needs = [first.step.name, second.step.name, rig.digest, [c.name for c in cameras], pcutoff, params.undistort]
    step = done(workspace, Stage(STEM, ORDINALS - 1, needs), make, params.force)
    track = fresh[0] if fresh else tables.loaded(workspace, step, STEM)
    return Placed(track, step, first.footage.rate, (first, second))


def told(placed: Placed) -> dict[str, Any]:
    """What is said about the result."""
    there = np.asarray(np.isfinite(placed.track.values).all(axis=-1))
    warnings = [w for step in (*(v.step for v in placed.views), placed.step) for w in step.record["warnings"]]
    missing = {point: int((~there[:, n]).sum()) for n, point in enumerate(placed.track.points)}
    return {
        "frames": placed.track.frames,
        "missing": sum(missing.values()),
        "points": {point: {"missing": number} for point, number in missing.items()},
        "reprojection_pixels": placed.step.record["reprojection_pixels"],
        "warnings": list(dict.fromkeys(warnings)),
    }


def chosen(track: Track, params: Label3D) -> range:
    """The frames to draw. Raises Rejected(`bad_range`, `nothing_to_draw`)."""
    end = params.end if params.end is not None else track.frames
    if not params.start < end <= track.frames:
        raise Rejected("bad_range", f"The frames go from 0 to {track.frames}; {params.start} to {end} was asked for.")
    if not np.isfinite(track.values).all(axis=-1).any():
        raise Rejected("nothing_to_draw", "No point was found in both videos, in any frame.")
    return range(params.start, end)


def film(path: Path, placed: Placed, frames: range, pen: Pen, params: Label3D, span: Span) -> None:
    """Draw these frames as a video."""
    scene = Scene(placed.track, pen, params.azimuth, params.elevation)
    with Film(path, SIZE, SIZE, placed.rate, params.crf) as reel:
        for done_so_far, frame in enumerate(frames):
            reel.add(scene.picture(frame))
            span.tell(done_so_far / len(frames))


def _cameras(rig: Model, params: Paired) -> tuple[Camera, Camera]:
    """The camera of each file, in the order of the files."""
    known = {c["name"]: Camera.model_validate(c) for c in rig.details["cameras"]}
    asked = [params.camera, params.camera2]
    for name in asked:
        if name is not None and name not in known:
            raise Rejected("unknown_camera", f"The rig's cameras are {' and '.join(known)}.")
    if asked[0] is not None and asked[0] == asked[1]:
        raise Rejected("same_camera", "The two videos are from different cameras.")
    rest = [name for name in known if name not in asked]
    one, two = (name if name is not None else rest.pop(0) for name in asked)
    return known[one], known[two]


def _placed(
    cameras: tuple[Camera, Camera], tracks: tuple[Track, Track], rig: Model, pcutoff: float, undistort: bool
) -> tuple[Track, float | None]:
    """The track in space, and the mean distance in pixels between where points were seen and where they project to."""
    points = engines.points_of(rig)
    places = [[track.points.index(point) for point in points] for track in tracks]
    seen: NDArray[np.bool_] = np.logical_and(
        *(track.seen(pcutoff)[:, order] for track, order in zip(tracks, places, strict=True))
    )
    views = [track.values[:, order, :2][seen] for track, order in zip(tracks, places, strict=True)]
    values = np.full((tracks[0].frames, len(points), 3), np.nan)
    values[seen] = space.triangulated(cameras, (views[0], views[1]), undistort)
    away = [
        space.reprojection(camera, values[seen], view, undistort) for camera, view in zip(cameras, views, strict=True)
    ]
    mean = round(float(np.mean(away)), 6) if seen.any() else None
    return Track(SCORER, points, SPACE, values), mean
