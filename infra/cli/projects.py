"""`reelmill projects`: make them, upload films to them, see the tasks that come out."""

import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from infra.cli import files
from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, show, table, talk
from infra.cli.exits import Exit
from infra.cli.jobs import Timeout

app = typer.Typer(no_args_is_help=True, help="Projects: uploads, and the tasks that are cut of them.")
Project = Annotated[str, typer.Argument(help="The project's id.")]
TICK_SECONDS = 0.3
ENDED = {"succeeded", "failed"}


@app.command("list")
def listing(context: typer.Context, as_json: Json = False) -> None:
    """Every project."""
    found = list(client(context).pages("/v1/projects", "projects", limit=1000))
    if as_json:
        show(found)
    else:
        table(("id", "name", "created"), [(p["id"], p["name"], p["created_at"][:19]) for p in found])


@app.command("create")
def create(
    context: typer.Context, name: Annotated[str, typer.Argument(help="For people.")], as_json: Json = False
) -> None:
    """Make a project; prints its id."""
    made = client(context).call("POST", "/v1/projects", json={"name": name})
    if as_json:
        show(made)
    else:
        data.print(made["id"], markup=False)


@app.command("show")
def one(context: typer.Context, project: Project, as_json: Json = False) -> None:
    """A project with its uploads, newest first."""
    caller, path = client(context), f"/v1/projects/{quote(project, safe='')}"
    view = caller.call("GET", path)
    uploads = list(caller.pages(f"{path}/uploads", "uploads", limit=1000))
    if as_json:
        show(view | {"uploads": uploads})
        return
    data.print(f"{view['id']}  {view['name']}", markup=False)
    rows = [
        (u["id"], u["state"], f"{u['progress']:.0f} %", str(u["task_count"]), u["created_at"][:19]) for u in uploads
    ]
    table(("id", "state", "progress", "tasks", "created"), rows)


@app.command("upload")
def upload(
    context: typer.Context,
    project: Project,
    film: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    rate: Annotated[str, typer.Option(help="Frames per second of the film.")] = "5",
    frames_per_task: Annotated[int | None, typer.Option(min=1, help="Frames in each task.")] = None,
    detector: Annotated[str | None, typer.Option(help="Annotate with it first, such as contrast.")] = None,
    timeout: Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Upload a film, cut it into tasks, and follow that; exits with 6 when it fails."""
    caller = client(context)
    body: dict[str, Any] = {"file": files.send(caller, film)["sha256"], "rate": rate}
    body |= {"frames_per_task": frames_per_task} if frames_per_task is not None else {}
    body |= {"request_type": 1, "annotation_version": 1, "detector": detector} if detector is not None else {}
    made = caller.call("POST", f"/v1/projects/{quote(project, safe='')}/uploads", json=body)
    view = _follow(caller, made, film.name, timeout)
    if as_json:
        show(view)
    else:
        data.print(f"{view['id']}  {view['state']}  {view['task_count']} tasks", markup=False)
    if view["state"] != "succeeded":
        raise typer.Exit(Exit.JOB_FAILED)


@app.command("tasks")
def tasks(
    context: typer.Context,
    project: Project,
    status: Annotated[int | None, typer.Option(min=0, max=99, help="Only of this status; 6 is accepted.")] = None,
    as_json: Json = False,
) -> None:
    """The tasks of a project, as they were cut."""
    wanted: dict[str, Any] = {"project": project} | ({"status": str(status)} if status is not None else {})
    found = list(client(context).pages("/v1/tasks", "tasks", limit=1000, **wanted))
    if as_json:
        show(found)
        return
    rows = [
        (t["id"], str(t["number"]), t["name"], str(t["status"]), f"{t['completed_frames']}/{t['frame_count']}")
        for t in found
    ]
    table(("id", "number", "name", "status", "annotated"), rows)


def _follow(caller: Client, view: dict[str, Any], name: str, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as bars:
        bar = bars.add_task(name, total=100)
        while view["state"] not in ENDED:
            if time.monotonic() > deadline:
                raise Refused(f"The upload is still {view['state']} after {timeout:g} s.", Exit.TIMEOUT)
            time.sleep(TICK_SECONDS)
            view = caller.call("GET", f"/v1/uploads/{view['id']}")
            bars.update(bar, completed=view["progress"])
    return view
