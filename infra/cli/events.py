"""`reelmill events`: what happens, one fact a line."""

import time
from collections.abc import Callable
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, size, talk
from infra.cli.exits import Exit

STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "disabled": "red"}
PAGE = 1000
WAIT_SECONDS = 30
AGAIN_SECONDS = 1.0


def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and show what happens.")] = False,
    types: Annotated[
        list[str] | None, typer.Option(help="Which facts, such as 'job.#.succeeded' or 'file.*'; may be repeated.")
    ] = None,
    since: Annotated[int | None, typer.Option(min=0, help="Begin after the fact of this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="Without --since: so many of the newest.")] = 30,
    as_json: Json = False,
) -> None:
    """What has happened lately, or since a number; with --follow, what happens."""
    caller = client(context)
    wanted = {"types": ",".join(types)} if types else {}
    say = _dump if as_json else _tell
    place = since if since is not None else _lately(caller, limit)
    place = _show(caller, place, wanted, say)
    while follow:
        try:
            place = _show(caller, place, wanted | {"wait": WAIT_SECONDS}, say)
        except Refused as refused:
            if refused.code is not Exit.FAILED:
                raise
            talk.print(f"{refused} Trying again.", style="yellow", markup=False)
            time.sleep(AGAIN_SECONDS)


def headline(event: dict[str, Any]) -> str:
    """What a fact tells, in a word where its subject is known."""
    kind: str = event["type"]
    return kind.rpartition(".")[2] if kind.startswith("job.") else kind


def details(event: dict[str, Any]) -> str:
    """What there is to say about a fact, for people."""
    told = event["data"]
    if event["type"] == "artifact.created":
        return f"{told['count']} outputs, {size(told['bytes'])}"
    if event["type"].startswith("file."):
        return f"{told['name']}, {size(told['size'])}, {told['sha256'][:12]}"
    if event["type"].endswith(".progress"):
        return f"{told['progress']:g} %"
    names = ("worker", "error_code", "error_message", "run_at", "kind", "by", "webhook_id", "reason")
    return ", ".join(str(told[name]) for name in names if told.get(name) is not None)


def _lately(caller: Client, limit: int) -> int:
    """Where the newest facts begin; nothing that retention has taken is asked for."""
    head: int = caller.call("GET", "/v1/changes", params={"since": "now"})["next"]
    oldest = caller.call("GET", "/v1/changes", params={"limit": 1})
    first: int = oldest["changes"][0]["seq"] - 1 if oldest["changes"] else head
    return max(head - limit, first)


def _show(caller: Client, place: int, query: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> int:
    """Show what is there, and return where that ends."""
    while True:
        page = caller.call("GET", "/v1/changes", params={"since": place, "limit": PAGE, **query})
        for event in page["changes"]:
            say(event)
        place = page["next"]
        if not page["more"]:
            return place


def _dump(event: dict[str, Any]) -> None:
    data.print(orjson.dumps(event).decode(), markup=False)


def _tell(event: dict[str, Any]) -> None:
    style = STYLES.get(event["type"].rpartition(".")[2], "")
    moment = event["occurred_at"][:23].replace("T", " ")
    line = Text.assemble((moment, "dim"), f"  {event['seq']:>8}  ", (f"{event['type']:<34}", style))
    line.append(f"  {event['job_id'] or '':<36}", "dim")
    line.append(f"  {details(event)}")
    line.rstrip()
    data.print(line)
