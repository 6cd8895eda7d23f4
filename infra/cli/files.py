"""`reelmill files`: put, list, get, remove."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, done, show, size, table, talk
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Files: what jobs read.")
FileId = Annotated[str, typer.Argument(help="SHA-256, SHA-1 or an unambiguous prefix of either.")]


@app.command("put")
def put(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True)],
    direct: Annotated[bool, typer.Option(help="Straight to the object store, past the gateway.")] = False,
    as_json: Json = False,
) -> None:
    """Upload files; prints their ids."""
    made = [send(client(context), path, direct) for path in paths]
    if as_json:
        show(made)
    else:
        for file in made:
            data.print(f"{file['file_id']}  {file['name']}", markup=False)


@app.command("list")
def listing(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Only files of this name.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: Json = False,
) -> None:
    """The newest files."""
    page = client(context).call("GET", "/v1/files", params={"limit": limit} | ({"name": name} if name else {}))
    if as_json:
        show(page["files"])
        return
    rows = [(f["file_id"], f["name"], size(f["size"]), f["content_type"], f["created_at"][:19]) for f in page["files"]]
    table(("id", "name", "size", "type", "created"), rows)
    if page["next"]:
        talk.print(f"Only the newest {limit} are shown.")


@app.command("get")
def get(
    context: typer.Context,
    file_id: FileId,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Where to save it; by its own name if absent.")] = None,
    as_json: Json = False,
) -> None:
    """Download a file or an output."""
    caller = client(context)
    target = to or Path(Path(caller.call("GET", f"/v1/files/{file_id}")["name"]).name)
    count = caller.download(f"/v1/files/{file_id}/content", target)
    done(f"{target} ({size(count)})", as_json, {"path": str(target), "size": count})


@app.command("rm")
def remove(
    context: typer.Context,
    file_id: FileId,
    force: Annotated[bool, typer.Option(help="Cancel jobs that use it.")] = False,
    as_json: Json = False,
) -> None:
    """Delete an uploaded file. Outputs that were made from it stay."""
    client(context).call("DELETE", f"/v1/files/{file_id}", params={"force": "1"} if force else {})
    done("Deleted.", as_json, {"deleted": file_id})


def send(caller: Client, path: Path, direct: bool = False) -> dict[str, str]:
    """Upload one file with a progress bar; `direct`: to the store itself. Raises Refused for an empty one."""
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bars = Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal)
    with settled(path) as whole, bars:
        if not (size := whole.stat().st_size):
            raise Refused(f"{path} is empty.", Exit.USAGE)
        bar = bars.add_task(whole.name, total=size)
        way = caller.transfer if direct else caller.upload
        return way(whole, seen=lambda count: bars.advance(bar, count))


@contextmanager
def settled(path: Path) -> Iterator[Path]:
    """A file as it is; of a pipe, which has no size and can be read once, a copy of the same name."""
    if path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with path.open("rb") as source, copy.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        yield copy
