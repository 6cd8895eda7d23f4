"""`reelmill inventory`: bring albums in, take some to look for them, say where they were found."""

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import orjson
import typer

from infra.cli import collections, items, jobs, running
from infra.cli.client import Client, Refused
from infra.cli.context import AlwaysJson, Json, client, show, table
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Inventories: albums, or other things, that are looked for at hosts.")
Collection = Annotated[str, typer.Option("--collection", "-c", help="The inventory.")]
Count = Annotated[int, typer.Argument(help="How many, from 1 to 100.")]
Lease = Annotated[str, typer.Argument(help="The lease's id.")]
COLUMNS = ("Album Title", "Artist Name")
RULES: dict[str, Any] = {"ordering": "arrival", "ttl": 3600, "retry_seconds": 3600, "max_attempts": 10}


@app.command("import")
def import_file(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    collection: Collection = "albums",
    column: Annotated[list[str] | None, typer.Option(help="A column of the key; by default album and artist.")] = None,
    timeout: jobs.Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Bring in a CSV file of albums, again and again: what is known keeps its progress, nothing is deleted.

    Exit code 1 when lines were rejected.
    """
    params = {"format": "csv", "key": column or list(COLUMNS)}
    if items.bring_in(client(context), path, collection, params, timeout, as_json, RULES):
        raise typer.Exit(Exit.FAILED)


@app.command("lease", context_settings={"ignore_unknown_options": True})
def lease(
    context: typer.Context, count: Count, collection: Collection = "albums", _as_json: AlwaysJson = False
) -> None:
    """Take albums to look for. Prints JSON."""
    show(_taken(client(context), running.few(count), collection))


@app.command("submit")
def submit(
    context: typer.Context,
    document: Annotated[Path, typer.Argument(help='{"111": [{"site": …, "torrentId": 37}], "444": []}; - is stdin.')],
    collection: Collection = "albums",
    _as_json: AlwaysJson = False,
) -> None:
    """Say where albums were found, all or nothing. Prints JSON."""
    try:
        body = orjson.loads(sys.stdin.buffer.read() if str(document) == "-" else document.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise Refused(f"The document cannot be read: {error}", Exit.USAGE) from None
    show(_submitted(client(context), body, collection))


@app.command("extend")
def extend(
    context: typer.Context, lease: Lease, collection: Collection = "albums", _as_json: AlwaysJson = False
) -> None:
    """Hold albums for longer. Prints JSON."""
    show(_extended(client(context), lease, collection))


@app.command("release")
def release(
    context: typer.Context, lease: Lease, collection: Collection = "albums", _as_json: AlwaysJson = False
) -> None:
    """Give albums back. Prints JSON."""
    show(_released(client(context), lease, collection))


@app.command("run", context_settings={"ignore_unknown_options": True})
def run(
    context: typer.Context,
    count: Count,
    command: Annotated[list[str], typer.Argument(help="The command; {album}, {artist} and {id} are put in.")],
    collection: Collection = "albums",
) -> None:
    """Take albums and run a command for each, which prints a line `HOST ID` for each place where it found the album.

    Without a line, the album was looked for in vain. A command that fails says nothing: the album goes back, and so do
    all that are left on Ctrl-C, SIGTERM and when the terminal closes. All are held as long as it takes. Exit code 1
    when a command failed.
    """
    caller, number = client(context), running.few(count)
    with running.held(
        lambda: _taken(caller, number, collection), lambda lease: _released(caller, lease, collection)
    ) as told:
        # Without a lease there need not even be such a collection.
        rules = caller.call("GET", collections.at(collection)) if told["albums"] else RULES
        keeper = running.Keeper(lambda: _extended(caller, told["lease"], collection), rules["ttl"])

        def search(album: dict[str, Any]) -> str | None:
            with keeper.at_work():
                ended = running.run(command, album=album["album"], artist=album["sortArtist"], id=str(album["id"]))
            if ended.returncode:
                return running.why(ended)
            _submitted(caller, {str(album["id"]): _places(ended.stdout)}, collection)
            return None

        done, failed = running.through(told["albums"], search)
    running.conclude(done, failed)


@app.command("stats")
def stats(context: typer.Context, collection: Collection = "albums", as_json: Json = False) -> None:
    """How far an inventory is, and what is fetched from which host."""
    told = client(context).call("GET", "/v1/fetch-stats", params={"collection": collection})
    if as_json:
        show(told)
        return
    counted = {name: told[name] for name in ("items", "active", "stale", "nacked", "tasks", "filled")}
    table(("what", "number"), [(name, str(number)) for name, number in (counted | told["by_state"]).items()])
    names = ("host", "open", "active", "stale", "filled", "unavailable")
    table(names, [[str(host[name]) for name in names] for host in told["hosts"]])


def _taken(caller: Client, count: int, collection: str) -> dict[str, Any]:
    return dict(caller.call("POST", f"/metadata/{count}", params={"collection": collection, "worker": "cli"}))


def _submitted(caller: Client, body: Any, collection: str) -> Any:
    return caller.call("POST", "/metadata/submit", params={"collection": collection}, json=body)


def _extended(caller: Client, lease: str, collection: str) -> Any:
    return caller.call("POST", f"{collections.at(collection)}/leases/{quote(lease, safe='')}/extend", json={})


def _released(caller: Client, lease: str, collection: str) -> Any:
    return caller.call("POST", f"{collections.at(collection)}/leases/{quote(lease, safe='')}/release", json={})


def _places(output: str) -> list[dict[str, str]]:
    found = [line.split(maxsplit=1) for line in output.splitlines() if line.strip()]
    if any(len(words) != 2 for words in found):
        raise Refused("The command prints a host and an id on each line.", Exit.FAILED)
    return [{"site": host, "torrentId": number} for host, number in found]
