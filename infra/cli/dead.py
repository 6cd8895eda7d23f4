"""`reelmill dead`: messages that nobody could process. List, show, replay, discard."""

from pathlib import Path
from typing import Annotated, Any

import typer

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, show, size, table, talk
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Dead messages: those that nobody could process, and why.")
Ids = Annotated[list[int] | None, typer.Argument(help="Numbers of messages.")]
Cause = Annotated[str | None, typer.Option(help="All open messages with this fingerprint.")]
Code = Annotated[str | None, typer.Option(help="All open messages with this code.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the newest first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which they are.")]
LONGEST_REASON = 60


@app.command("list")
def listing(
    context: typer.Context,
    code: Code = None,
    queue: Annotated[str | None, typer.Option(help="Only those that were in this queue.")] = None,
    fingerprint: Cause = None,
    groups: Annotated[bool, typer.Option(help="One line for each cause.")] = False,
    resolved: Annotated[bool, typer.Option("--all", help="Also those that were replayed or discarded.")] = False,
    limit: Limit = 30,
    as_json: Json = False,
) -> None:
    """The newest messages that wait for somebody to look at them."""
    if groups:
        causes(client(context), as_json)
        return
    wanted = {"code": code, "queue": queue, "fingerprint": fingerprint, "open": 0 if resolved else 1, "limit": limit}
    page = client(context).call("GET", "/v1/parked", params={k: v for k, v in wanted.items() if v is not None})
    if as_json:
        show(page["messages"])
        return
    rows = [
        (
            str(m["id"]),
            _short(m["code"]),
            _short(m["routing_key"]),
            _short(m["detail"]),
            size(m["size"]),
            m["parked_at"][:19],
            m["resolution"] or "open",
        )
        for m in page["messages"]
    ]
    table(("number", "code", "key", "reason", "size", "parked", "state"), rows)
    if page["next"]:
        talk.print(f"Only the newest {limit} are shown; `reelmill dead list --groups` shows the causes.")


def causes(caller: Client, as_json: bool) -> None:
    """Print the causes, the most frequent first."""
    found = sorted(caller.pages("/v1/parked/groups", "groups", limit=1000), key=lambda g: -g["count"])
    if as_json:
        show(found)
        return
    rows = [
        (
            g["fingerprint"],
            f"{g['count']}+" if g["more"] else str(g["count"]),
            _short(g["code"]),
            _short(g["routing_key"]),
            _short(g["detail"]),
            g["last_at"][:19],
        )
        for g in found
    ]
    table(("fingerprint", "messages", "code", "key", "reason", "last"), rows)


@app.command("show")
def one(context: typer.Context, number: int, as_json: Json = False) -> None:
    """One message: why it is here, its properties, its headers and its body."""
    message = client(context).call("GET", f"/v1/parked/{number}")
    if as_json:
        show(message)
        return
    state = f"{message['resolution']} by {message['resolved_by']}" if message["resolution"] else "open"
    tell(f"{message['id']}  {message['code']}  {state}  parked {message['parked_at'][:19]}")
    tell(f"  {message['detail']}")
    for name in ("queue", "routing_key", "message_id", "job_id", "fingerprint"):
        if message[name]:
            tell(f"  {name}: {message[name]}")
    for name, value in (message["properties"] | message["headers"]).items():
        tell(f"  {name}: {value}")
    cut = f", the first {size(message['shown'])} of {size(message['size'])}" if _is_cut(message) else ""
    tell(f"\n{message['encoding']}{cut}:\n{message['body']}")


def tell(text: str) -> None:
    """Print what a stranger wrote: nothing of it is an instruction to a terminal."""
    data.print("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text), markup=False)


@app.command("replay")
def replay(
    context: typer.Context,
    ids: Ids = None,
    fingerprint: Cause = None,
    code: Code = None,
    limit: Limit = 1000,
    body: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="One message only: another body, from a file.")
    ] = None,
    routing_key: Annotated[str | None, typer.Option(help="One message only: another routing key.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send messages again under their own ids; exits with 1 when not all of them went out."""
    if body is None and routing_key is None:
        _settle(context, "replay", _chosen(ids, fingerprint, code, limit), dry_run, as_json)
        return
    if ids is None or len(ids) != 1 or dry_run:
        raise Refused("Another body or routing key is for one message, named by its number.", Exit.USAGE)
    change = {"body": body.read_text() if body else None, "routing_key": routing_key}
    path = f"/v1/parked/{ids[0]}/replay"
    message = client(context).call("POST", path, json={k: v for k, v in change.items() if v is not None})
    if as_json:
        show(message)
    else:
        talk.print("Sent.")


@app.command("discard")
def discard(
    context: typer.Context,
    ids: Ids = None,
    fingerprint: Cause = None,
    code: Code = None,
    limit: Limit = 1000,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let messages go. They stay in the record, resolved."""
    _settle(context, "discard", _chosen(ids, fingerprint, code, limit), dry_run, as_json)


def _chosen(ids: list[int] | None, fingerprint: str | None, code: str | None, limit: int) -> dict[str, Any]:
    if bool(ids) == bool(fingerprint or code):
        raise Refused("Say which: numbers, or --fingerprint or --code.", Exit.USAGE)
    chosen = {"ids": ids or None, "fingerprint": fingerprint, "code": code, "limit": limit}
    return {name: value for name, value in chosen.items() if value is not None}


def _settle(context: typer.Context, action: str, chosen: dict[str, Any], dry_run: bool, as_json: bool) -> None:
    report = client(context).call("POST", f"/v1/parked/{action}", json=chosen | {"dry_run": dry_run})
    if as_json:
        show(report)
    else:
        table(("number", "outcome"), [(str(item["id"]), item["outcome"]) for item in report["items"]])
        talk.print(", ".join(f"{count} {outcome}" for outcome, count in report["counts"].items()) or "None fits.")
        if report["more"]:
            talk.print("There are more: ask again.")
    if set(report["counts"]) - {"replayed", "discarded", "selected"}:
        raise typer.Exit(Exit.FAILED)


def _is_cut(message: dict[str, Any]) -> bool:
    return bool(message["shown"] < message["size"])


def _short(text: str) -> str:
    """One line of what a stranger wrote, harmless in a table."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 3]}..."
