"""`reelmill dataset`: make versions of datasets, build them, follow the build, download archives."""

import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, done, show, size, table, talk
from infra.cli.exits import Exit
from infra.cli.jobs import Timeout

app = typer.Typer(no_args_is_help=True, help="Datasets: versions of accepted tasks, and their archives.")
Group = Annotated[str, typer.Argument(help="The dataset's name.")]
Version = Annotated[str, typer.Argument(help="Such as 1.0.3, or latest.")]
TICK_SECONDS = 0.3
ENDED = {"complete", "failed"}


@app.command("list")
def listing(
    context: typer.Context, group: Annotated[str | None, typer.Argument()] = None, as_json: Json = False
) -> None:
    """Every dataset, or the versions of one."""
    rows: list[tuple[str, ...]]
    if group is None:
        found = list(client(context).pages("/v1/datasets", "datasets", limit=1000))
        rows = [(g["name"], str(g["versions"]), g["latest"] or "", g["created_at"][:19]) for g in found]
        columns: tuple[str, ...] = ("dataset", "versions", "latest", "created")
    else:
        found = list(client(context).pages(f"/v1/datasets/{quote(group, safe='')}/versions", "versions", limit=1000))
        rows = [(v["id"], v["version"], v["state"], f"{v['progress']:.0f} %", v["created_at"][:19]) for v in found]
        columns = ("id", "version", "state", "progress", "created")
    if as_json:
        show(found)
    else:
        table(columns, rows)


@app.command("create")
def create(
    context: typer.Context,
    group: Group,
    project: Annotated[list[str], typer.Option(help="A project whose accepted tasks it has; may be repeated.")],
    label: Annotated[list[str] | None, typer.Option(help="A class; may be repeated. Every label if absent.")] = None,
    archive: Annotated[list[str] | None, typer.Option(help="yolo, coco or voc; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and the augmentations.")] = 0,
    timeout: Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Make the next version, build it, and follow the build; exits with 1 when it fails."""
    body = {
        "projects": project,
        "labels": [{"label": name} for name in label or []],
        "formats": archive or ["yolo"],
        "seed": seed,
        "split": {"seed": seed},
    }
    caller = client(context)
    made = caller.call("POST", f"/v1/datasets/{quote(group, safe='')}/versions", json=body)
    _conclude(_follow(caller, made, timeout), as_json)


@app.command("build")
def build(
    context: typer.Context,
    version: Annotated[str, typer.Option("-v", "--version", help="The version's id.")],
    timeout: Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Build a version, or what failed of it, and follow the build; exits with 1 when it fails."""
    caller = client(context)
    made = caller.call("POST", f"/v1/dataset-versions/{quote(version, safe='')}/build")
    _conclude(_follow(caller, made, timeout), as_json)


@app.command("show")
def one(context: typer.Context, group: Group, version: Version = "latest", as_json: Json = False) -> None:
    """One version: what is in it, and how its build goes."""
    view = client(context).call("GET", _path(group, version))
    if as_json:
        show(view)
    else:
        _describe(view)


@app.command("get")
def download(
    context: typer.Context,
    group: Group,
    version: Version = "latest",
    archive: Annotated[str, typer.Option(help="Which archive: yolo, coco, voc, or yolo-sample.")] = "yolo",
    to: Annotated[Path, typer.Option("--to", "-o", help="The folder to save it in.")] = Path(),
    as_json: Json = False,
) -> None:
    """Download an archive."""
    caller = client(context)
    view = caller.call("GET", _path(group, version))
    target = to / f"{group}-{view['version']}-{archive}.zip"
    count = caller.download(f"{_path(group, view['version'])}/archives/{quote(archive, safe='')}", target)
    done(f"{target} ({size(count)})", as_json, {"path": str(target), "size": count})


@app.command("rm")
def delete(context: typer.Context, group: Group, version: Version, as_json: Json = False) -> None:
    """Delete a version with what only it needs."""
    client(context).call("DELETE", _path(group, version))
    done("Deleted.", as_json, {"deleted": f"{group}/{version}"})


def _follow(caller: Client, view: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Watch a build, with its archives, until it is over."""
    deadline = time.monotonic() + timeout
    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as bars:
        bar = bars.add_task(f"{view['group']} {view['version']}", total=100)
        while not _over(view):
            if time.monotonic() > deadline:
                raise Refused(f"The build is still {view['state']} after {timeout:g} s.", Exit.TIMEOUT)
            time.sleep(TICK_SECONDS)
            view = caller.call("GET", f"/v1/dataset-versions/{view['id']}")
            bars.update(bar, completed=view["progress"])
    return view


def _over(view: dict[str, Any]) -> bool:
    """Whether nothing of it is under way; of a failed one, the archives wait for nothing."""
    ended = {"succeeded", "failed", "cancelled"}
    packed = all(archive["state"] in ended for archive in view["archives"])
    return view["state"] == "failed" or (view["state"] in ENDED and packed)


def _conclude(view: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show(view)
    else:
        _describe(view)
    if view["state"] != "complete" or any(archive["state"] != "succeeded" for archive in view["archives"]):
        raise typer.Exit(Exit.FAILED)


def _describe(view: dict[str, Any]) -> None:
    data.print(f"{view['group']} {view['version']}  {view['state']}  {view['id']}", markup=False)
    data.print(
        f"  {view['image_count']} pictures, {size(view['size'])}, classes: {', '.join(view['classes'])}", markup=False
    )
    for split, share in view["splits"].items():
        told = f"{share['images']} pictures, {share['objects']} objects, {share['percentage']:g} %"
        data.print(f"  {split:<10}  {share['tasks']} tasks, {told}", markup=False)
    for archive in view["archives"]:
        data.print(f"  {archive['format']:<10}  {archive['state']}", markup=False)
    for error in view["errors"]:
        data.print(f"  {error}", markup=False)


def _path(group: str, version: str) -> str:
    return f"/v1/datasets/{quote(group, safe='')}/versions/{quote(version, safe='')}"
