"""`reelmill items`: import a file, count, list, show."""

import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import quote

import orjson
import typer

from infra.cli import collections, files, jobs
from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, show, table, talk
from infra.cli.exits import Exit
from schemas.items import legible

app = typer.Typer(no_args_is_help=True, help="Items: what is handed out to workers under leases.")
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection.")]
Timeout = jobs.Timeout
REPORT = "report.ndjson"
SHOWN = 10
SEGMENT_LISTS = ("balanced_train_segments.csv", "eval_segments.csv", "unbalanced_train_segments.csv")


@app.command("import")
def import_file(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    collection: Collection = "segments",
    form: Annotated[str, typer.Option("--format", help="auto, csv, tsv, jsonl or audioset.")] = "auto",
    key: Annotated[list[str] | None, typer.Option(help="A column of the key; may be repeated.")] = None,
    partition: Annotated[str | None, typer.Option(help="The partition of every line.")] = None,
    timeout: Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Upload a file of items and import it; what is known keeps its progress. Makes the collection if need be.

    Exit code 1 when lines were rejected.
    """
    params = {"format": form, "key": key or [], "partition": partition}
    if bring_in(client(context), path, collection, params, timeout, as_json):
        raise typer.Exit(Exit.FAILED)


def audioset(
    context: typer.Context,
    root: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The root of the datasets.")],
    audioset_path: Annotated[str, typer.Option(help="AudioSet's folder in it.")] = "audioset",
    collection: Collection = "segments",
    timeout: Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Import AudioSet's segment lists, as many as there are under <root>/<audioset-path>/datasplits.

    Exit code 1 when lines were rejected.
    """
    folder = root / audioset_path / "datasplits"
    there = [folder / name for name in SEGMENT_LISTS if (folder / name).is_file()]
    if not there:
        raise Refused(f"There is none of {', '.join(SEGMENT_LISTS)} in {folder}.", Exit.NOT_FOUND)
    caller, params = client(context), {"format": "audioset"}
    rejected = [bring_in(caller, path, collection, params, timeout, as_json) for path in there]
    if any(rejected):
        raise typer.Exit(Exit.FAILED)


def bring_in(
    caller: Client,
    path: Path,
    collection: str,
    params: dict[str, Any],
    timeout: float,
    as_json: bool,
    rules: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Import a file and say what became of it; returns how many lines were rejected.

    A collection that is not there is made, with these `rules`.
    """
    collections.at(collection)  # before anything is sent
    file = files.send(caller, path)
    collections.ensure(caller, collection, dict(rules))
    asked = {"collection": collection, "file": file["sha256"]} | params
    job = jobs.follow(caller, caller.call("POST", "/v1/jobs", json={"kind": "items.import", "params": asked}), timeout)
    jobs.conclude(job, as_json)
    rejected = int(job["result"]["rejected"])
    if rejected and not as_json:
        _show_rejected(caller, job["id"], rejected)
    return rejected


def _show_rejected(caller: Client, job_id: str, rejected: int) -> None:
    lines = (each for each in report(caller, job_id) if each["outcome"] == "rejected")
    for each in islice(lines, SHOWN):
        talk.print(f"line {each['line']}: {each['reason']}", markup=False, style="red")
    what = "line was" if rejected == 1 else "lines were"
    talk.print(f"{rejected} {what} rejected. The whole report: reelmill jobs outputs {job_id} --to FOLDER")


def report(caller: Client, job_id: str) -> Iterator[dict[str, Any]]:
    """What a job says of lines that did not go as they should, one by one."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / REPORT
        caller.download(f"/v1/jobs/{job_id}/outputs/{REPORT}", saved)
        with saved.open("rb") as source:
            yield from map(orjson.loads, source)


@app.command("count")
def count(
    context: typer.Context,
    collection: Collection = "segments",
    state: Annotated[str | None, typer.Option(help="Only items in this state.")] = None,
    partition: Annotated[str | None, typer.Option(help="Only items of this partition.")] = None,
    as_json: Json = False,
) -> None:
    """How many items are in which state."""
    wanted = {k: v for k, v in (("state", state), ("partition", partition)) if v is not None}
    counts = client(context).call("GET", f"{collections.at(collection)}/counts", params=wanted)
    if as_json:
        show(counts)
        return
    table(("state", "items"), [(name, str(n)) for name, n in counts["by_state"].items()])


@app.command("list")
def listing(
    context: typer.Context,
    collection: Collection = "segments",
    state: Annotated[str | None, typer.Option(help="missing or failed.")] = None,
    dead: Annotated[bool, typer.Option(help="Only those that are not offered again.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 30,
    as_json: Json = False,
) -> None:
    """Some items."""
    wanted = {"state": state, "dead": "1" if dead else None, "limit": limit}
    params = {k: v for k, v in wanted.items() if v is not None}
    page = client(context).call("GET", f"{collections.at(collection)}/items", params=params)
    if as_json:
        show(page["items"])
        return
    rows = [(i["key"], i["partition"], i["state"], str(i["attempt"]), i["error"] or "") for i in page["items"]]
    table(("key", "partition", "state", "attempt", "error"), rows)


@app.command("show")
def one(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The item's key.")],
    collection: Collection = "segments",
    as_json: Json = False,
) -> None:
    """One item and what has happened to it. Write `--` before a key that begins with a dash."""
    item = client(context).call("GET", f"{collections.at(collection)}/items/{quote(key, safe='')}")
    if as_json:
        show(item)
        return
    facts = {name: value for name, value in item.items() if name != "history" and value is not None}
    for name, value in (facts | {"key": legible(item["key"])}).items():
        data.print(f"{name}: {value}", markup=False)
    moves = [(m["at"][:19], m["by"], m["before"], m["state"], m["error"] or "") for m in item["history"]]
    table(("when", "who", "from", "to", "error"), moves)
