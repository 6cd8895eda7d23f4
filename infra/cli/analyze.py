"""`reelmill analyze`: from a video or a picture on this disk to points, in one line."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from infra.cli import files, jobs
from infra.cli.client import Refused
from infra.cli.context import Json, client, talk
from infra.cli.exits import Exit


class Analysis(StrEnum):
    """What to make."""

    VIDEO = "video"
    LABEL = "label"
    IMAGE = "image"
    LABEL_IMAGE = "label_image"
    TRIANGULATE = "triangulate"
    LABEL_3D = "label_3d"


PAIRS = {Analysis.TRIANGULATE, Analysis.LABEL_3D}


def analyze(
    context: typer.Context,
    analysis: Annotated[Analysis, typer.Argument(help="What to make.")],
    sources: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True)],
    model: Annotated[str, typer.Option("--model", "-m", help="A model: name, or name@version.")] = "tracker",
    params: Annotated[str, typer.Option(help="More parameters, as a JSON object.")] = "{}",
    force: Annotated[bool, typer.Option(help="Work anew, also when the same work has been done before.")] = False,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Download the outputs into this folder.")] = None,
    timeout: jobs.Timeout = 24 * 3600,
    as_json: Json = False,
) -> None:
    """Upload, analyse, wait, and optionally download what was made. Two sources for triangulate and label_3d."""
    wanted = 2 if analysis in PAIRS else 1
    if len(sources) != wanted:
        raise Refused(f"{analysis} takes {wanted} of them; these are {len(sources)}.", Exit.USAGE)
    caller = client(context)
    given = _more(params) | {"model": model, "force": force}
    for field, source in zip(("file", "file2"), sources, strict=False):
        file = files.send(caller, source)
        talk.print(f"Uploaded {file['name']} as {file['file_id']}", markup=False)
        given[field] = file["sha256"]
    job = caller.call("POST", "/v1/jobs", json={"kind": f"analyze.{analysis}", "params": given})
    job = jobs.follow(caller, job, timeout)
    jobs.conclude(job, as_json)
    if to is not None:
        jobs.save(caller, list(caller.pages(f"/v1/jobs/{job['id']}/outputs", "outputs", limit=1000)), to)


def _more(params: str) -> dict[str, Any]:
    try:
        return dict(orjson.loads(params))
    except (orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise Refused(f"The parameters are not a JSON object: {error}", Exit.USAGE) from None
