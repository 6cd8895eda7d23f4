"""Analyses of films: all of them, and one with its film, its points on it, their plots, and space."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import job_id
from gateway.console import rendering
from gateway.problems import Problem
from gateway.services import transact
from infra import browsing, db, jobs, media, steps
from infra.models import rows as models
from schemas.models import ModelKind

SHOWN = 50
OUTPUTS = 100
#: Those that have frames, and so something to play.
FILMS = ("analyze.video", "analyze.label", "analyze.triangulate", "analyze.label_3d")
PICTURES = ("analyze.image", "analyze.label_image")
PLANE, SPACE, LABELLED, LABELLED_3D = "poses.csv", "points.csv", "labeled.mp4", "labeled_3d.mp4"
USUAL_CUT = 0.6


@dataclass(frozen=True)
class View:
    """A film to choose, and the table of the points on it."""

    name: str
    video: str
    table: str | None
    labelled: bool = False


async def listing(request: Request) -> Response:
    """Analyses, newest first."""
    before = _before(request)
    rows = await transact(request, media.analyses, (*FILMS, *PICTURES), before, SHOWN + 1)
    return rendering.page(
        request,
        "analyses/listing.html",
        rows=rows[:SHOWN],
        films=FILMS,
        older="/console/analyses?" + urlencode({"before": str(rows[SHOWN - 1]["id"])}) if len(rows) > SHOWN else None,
    )


async def show(request: Request) -> Response:
    """The film of an analysis."""
    found = await transact(request, _look, job_id(request))
    if found is None:
        raise Problem(404, "unknown_analysis", "There is no such analysis of a film.")
    watched = "hx-request" in request.headers  # by somebody who saw it run
    return rendering.page(request, "analyses/analysis.html", **found, watched=watched)


def _look(connection: Connection, wanted: UUID) -> dict[str, Any] | None:
    job = jobs.get(connection, wanted)
    if job is None or job["kind"] not in FILMS:
        return None
    outputs = {row["name"]: row for row in steps.outputs(connection, wanted, "", OUTPUTS)}
    model = models.get(connection, job["params"]["model"])
    inputs = browsing.inputs(connection, wanted)
    views = _views(inputs, outputs, _folders(job["params"], model, len(inputs)))
    cut = job["params"].get("pcutoff")
    details = model.details if model is not None else {}
    document = {
        "views": [asdict(view) for view in views],
        "space": _content(outputs.get(SPACE)),
        "skeleton": details.get("skeleton", []),
        "pcutoff": details.get("pcutoff") or USUAL_CUT if cut is None else cut,
    }
    return {
        "job": job,
        "model": model,
        "views": views,
        "document": orjson.dumps(document).decode(),
        "cut": document["pcutoff"],
        "spatial": document["space"] is not None,
        "film_in_space": _content(outputs.get(LABELLED_3D)),
        "outputs": list(outputs.values()),
        "live": job["finished_at"] is None,
    }


def _views(inputs: Sequence[db.Row], outputs: dict[str, db.Row], folders: Sequence[str]) -> list[View]:
    """The films that were read, each with its own table; then the one with the points drawn in."""
    views = [
        View(f"{row['name'] or row['param']}", str(_content(row)), _content(outputs.get(f"{folder}{PLANE}")))
        for row, folder in zip(inputs, folders, strict=False)
        if row["there"]
    ]
    drawn = _content(outputs.get(LABELLED))
    return [*views, View("Labelled film", drawn, _content(outputs.get(PLANE)), True)] if drawn is not None else views


def _folders(params: dict[str, Any], model: models.Registered | None, count: int) -> list[str]:
    """Where the table of each film is among the outputs: in a rig's, below the name of its camera."""
    if model is None or model.kind is not ModelKind.RIG:
        return [""] * count
    asked = [params.get("camera"), params.get("camera2")]
    rest = [camera["name"] for camera in model.details["cameras"] if camera["name"] not in asked]
    return [f"{name if name is not None else rest.pop(0)}/" for name in asked]


def _content(row: db.Row | None) -> str | None:
    return f"/v1/files/{row['sha256']}/content" if row is not None else None


def _before(request: Request) -> UUID | None:
    given = request.query_params.get("before")
    try:
        return UUID(given) if given else None
    except ValueError:
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.") from None
