"""`reelmill split`: from a video on this disk to task videos and frames, in one line."""

from pathlib import Path
from typing import Annotated, Any

import typer

from infra.cli import files, jobs
from infra.cli.context import Json, client, talk


def split(
    context: typer.Context,
    video: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    rate: Annotated[str, typer.Option(help="Samples per second of video, such as 5, 0.5 or 30000/1001.")] = "5",
    frames_per_task: Annotated[int, typer.Option(min=1, help="Frames in each task video.")] = 120,
    images: Annotated[bool, typer.Option(help="Also write JPEG frames and thumbnails.")] = False,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Download the outputs into this folder.")] = None,
    timeout: jobs.Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Upload a video, split it, wait, and optionally download what was made."""
    caller = client(context)
    file = files.send(caller, video)
    talk.print(f"Uploaded {file['name']} as {file['file_id']}", markup=False)
    params: dict[str, Any] = {
        "file": file["sha256"],
        "rate": rate,
        "frames_per_task": frames_per_task,
        "images": images,
    }
    job = caller.call("POST", "/v1/jobs", json={"kind": "split.video", "params": params})
    job = jobs.follow(caller, job, timeout)
    jobs.conclude(job, as_json)
    if to is not None:
        jobs.save(caller, list(caller.pages(f"/v1/jobs/{job['id']}/outputs", "outputs", limit=1000)), to)
