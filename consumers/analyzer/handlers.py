"""The analyses that need a model, one function for each kind. Each stage of the work is a step that no crash undoes."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import cv2
import orjson
from av import FFmpegError

from consumers.analyzer import body, charts, drawing, engines, footage, plane, spatial, tables
from consumers.analyzer.drawing import Pen
from consumers.analyzer.film import Film
from consumers.analyzer.plane import Found, Span
from consumers.analyzer.stage import Made, Stage, done, files
from consumers.artifacts import Artifact
from consumers.outcome import Done, Rejected
from consumers.ports import AnalysisWorkspace, Model
from schemas.analyses import Drawn, ImageAnalysis, Label3D, LabelImage, LabelVideo, Posed, Triangulate, VideoAnalysis
from schemas.models import ModelKind

P = TypeVar("P", bound=Posed)
MP4, PNG, JSON = "video/mp4", "image/png", "application/json"
IN_PLANE = (ModelKind.DLC, ModelKind.TRACKER)
BODY = "body.csv"
LABELED, LABELED_3D, LABELED_IMAGE = "labeled.mp4", "labeled_3d.mp4", "labeled.png"

Handler = Callable[[P, AnalysisWorkspace], Done]


def _media(handler: Handler[P]) -> Handler[P]:
    """What a media library refuses is a refusal with a code."""

    @wraps(handler)
    def handled(params: P, workspace: AnalysisWorkspace) -> Done:
        try:
            return handler(params, workspace)
        except FFmpegError as error:
            if isinstance(error, MemoryError | OSError):
                raise
            raise Rejected("unsupported_video", f"The video cannot be converted ({error.strerror}).") from error
        except cv2.error as error:
            raise Rejected("unsupported_video", "The pictures cannot be processed.") from error

    return handled


@_media
def video(params: VideoAnalysis, workspace: AnalysisWorkspace) -> Done:
    """The points of a model in every frame: `csv_file`, `h5_file`, `summary_file` and plots, by their SHA-1."""
    model = engines.checked(workspace.model(params.model), *IN_PLANE)
    if params.centre_of_mass:
        body.require(engines.points_of(model))
    found = plane.of_video(workspace, params.file, model, params, Span(workspace, 0, 95))
    pcutoff = plane.cutoff(params, model)
    told = _told(params, model) | plane.summary(found.track, pcutoff) | _warnings(found)
    pages: list[tuple[str, Path | bytes, str]] = [
        ("summary.json", orjson.dumps(told, option=orjson.OPT_INDENT_2), JSON)
    ]
    if params.plots:
        size = (found.footage.width, found.footage.height)
        pages += [
            ("trajectories.png", charts.trajectories(found.track, pcutoff, size), PNG),
            ("likelihoods.png", charts.likelihoods(found.track, pcutoff), PNG),
        ]
    if params.centre_of_mass:
        body.write(found.track, pcutoff, workspace.scratch / BODY)
        pages.append((BODY, workspace.scratch / BODY, tables.CSV))
    made = tables.together(workspace, pages)
    return Done(_files([*found.step.artifacts, *made]) | told, tuple(made))


@_media
def label(params: LabelVideo, workspace: AnalysisWorkspace) -> Done:
    """The video with the points drawn in: `labeled_video`. Finds the points first, unless that has been done."""
    model = engines.checked(workspace.model(params.model), *IN_PLANE)
    found = plane.of_video(workspace, params.file, model, params, Span(workspace, 0, 60))
    pcutoff = plane.cutoff(params, model)
    pen = _pen(params, model, params.trail)
    seen = found.track.seen(pcutoff)
    span = Span(workspace, 60, 100)

    def make() -> Made:
        path = workspace.scratch / LABELED
        shape = found.footage
        with Film(path, shape.width, shape.height, shape.rate, params.crf) as film:
            for number, picture in enumerate(footage.frames(shape, span.tell)):
                pen.draw(picture, found.track.values, seen, number)
                film.add(picture)
        return {"frames": film.frames}, [workspace.store(LABELED, path, MP4)]

    needs = [found.step.name, pcutoff, params.dot_size, params.skeleton, params.trail, params.crf]
    film = done(workspace, Stage("film", 1, needs), make, params.force)
    told = _told(params, model) | plane.summary(found.track, pcutoff) | _warnings(found)
    result = {"labeled_video": files(film)[LABELED].sha1, "colours": _colours(model)}
    return Done(result | _files(found.step.artifacts) | told)


@_media
def image(params: ImageAnalysis, workspace: AnalysisWorkspace) -> Done:
    """The points of a model in one picture: `csv_file`, and the points themselves."""
    model = engines.checked(workspace.model(params.model), *IN_PLANE)
    _, track = plane.of_picture(workspace, params.file, model)
    made, warnings = tables.stored(workspace, track, "", plane.STEM)
    told = _told(params, model) | plane.summary(track, plane.cutoff(params, model)) | {"warnings": warnings}
    return Done(_files(made) | told, tuple(made))


@_media
def label_image(params: LabelImage, workspace: AnalysisWorkspace) -> Done:
    """The picture with the points drawn in: `labeled_image`."""
    model = engines.checked(workspace.model(params.model), *IN_PLANE)
    picture, track = plane.of_picture(workspace, params.file, model)
    pcutoff = plane.cutoff(params, model)
    _pen(params, model, 0).draw(picture, track.values, track.seen(pcutoff), 0)
    made, warnings = tables.stored(workspace, track, "", plane.STEM)
    _, encoded = cv2.imencode(".png", picture)
    drawn = workspace.store(LABELED_IMAGE, encoded.tobytes(), PNG)
    told = _told(params, model) | plane.summary(track, pcutoff) | {"warnings": warnings}
    return Done({"labeled_image": drawn.sha1, "colours": _colours(model)} | _files(made) | told, (*made, drawn))


@_media
def triangulate(params: Triangulate, workspace: AnalysisWorkspace) -> Done:
    """Points in space from two videos: `csv_file` with x, y, z; and each camera's own table."""
    rig = engines.checked(workspace.model(params.model), ModelKind.RIG)
    found = spatial.found(workspace, rig, params, Span(workspace))
    return Done(_files(found.step.artifacts) | spatial.told(found) | _told(params, rig))


@_media
def label_3d(params: Label3D, workspace: AnalysisWorkspace) -> Done:
    """A video of the points in space: `labeled_video`. Triangulates first, unless that has been done."""
    rig = engines.checked(workspace.model(params.model), ModelKind.RIG)
    found = spatial.found(workspace, rig, params, Span(workspace, 0, 70))
    frames = spatial.chosen(found.track, params)
    pen = _pen(params, rig, params.trail)

    def make() -> Made:
        path = workspace.scratch / LABELED_3D
        spatial.film(path, found, frames, pen, params, Span(workspace, 70, 100))
        return {"frames": len(frames)}, [workspace.store(LABELED_3D, path, MP4)]

    view = [params.azimuth, params.elevation, params.trail, params.dot_size, params.skeleton, params.crf]
    needs = [found.step.name, [frames.start, frames.stop], *view]
    film = done(workspace, Stage("scene", spatial.ORDINALS, needs), make, params.force)
    result = {"labeled_video": files(film)[LABELED_3D].sha1, "start": frames.start, "end": frames.stop}
    return Done(result | _files(found.step.artifacts) | spatial.told(found) | _told(params, rig))


def _pen(params: Drawn, model: Model, trail: int) -> Pen:
    bones = model.details.get("skeleton", []) if params.skeleton else []
    return Pen(engines.points_of(model), [(a, b) for a, b in bones], params.dot_size, trail)


def _told(params: Posed, model: Model) -> dict[str, Any]:
    return {"model": plane.provenance(model), "parameters": params.model_dump(mode="json", exclude={"force"})}


def _warnings(found: Found) -> dict[str, Any]:
    return {"warnings": found.step.record["warnings"]}


def _colours(model: Model) -> dict[str, list[int]]:
    points = engines.points_of(model)
    return {point: list(colour) for point, colour in zip(points, drawing.colours(len(points)), strict=True)}


def _files(artifacts: Any) -> dict[str, str]:
    """By the names that clients of old know: the kind of file, and its SHA-1."""
    names = {"csv": "csv_file", "h5": "h5_file", "json": "summary_file"}
    named = {"trajectories.png": "trajectories_plot", "likelihoods.png": "likelihoods_plot", BODY: "body_file"}
    made: list[Artifact] = list(artifacts)
    told = {a.name: named.get(a.name) or names.get(a.name.rpartition(".")[2]) for a in made}
    return {name: a.sha1 for a in made if (name := told[a.name]) is not None}
