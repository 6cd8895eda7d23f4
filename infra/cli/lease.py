"""`reelmill lease`: take items by hand, keep them, give them back, say what became of them."""

import time
from typing import Annotated
from urllib.parse import quote

import typer

from infra.cli import collections
from infra.cli.context import AlwaysJson, client, show
from infra.cli.items import Collection

app = typer.Typer(no_args_is_help=True, help="Leases: items that are yours for a time. Prints JSON.")
Lease = Annotated[str, typer.Argument(help="The lease's id.")]
Ttl = Annotated[float | None, typer.Option(min=0.1, help="Seconds; the collection's by default.")]


@app.command("take")
def take(
    context: typer.Context,
    count: Annotated[int, typer.Argument(min=1, max=1000)] = 1,
    collection: Collection = "segments",
    partition: Annotated[str | None, typer.Option(help="Only of this partition.")] = None,
    worker: Annotated[str, typer.Option(help="Who takes them.")] = "cli",
    ttl: Ttl = None,
    _as_json: AlwaysJson = False,
) -> None:
    """Take items."""
    wanted = {"count": count, "worker": worker, "ttl": ttl, "partition": partition}
    body = {k: v for k, v in wanted.items() if v is not None}
    show(client(context).call("POST", f"{collections.at(collection)}/leases", json=body))


@app.command("extend")
def extend(
    context: typer.Context,
    lease: Lease,
    collection: Collection = "segments",
    ttl: Ttl = None,
    _as_json: AlwaysJson = False,
) -> None:
    """Hold a lease for longer."""
    body = {"ttl": ttl} if ttl is not None else {}
    show(client(context).call("POST", f"{collections.at(collection)}/leases/{quote(lease, safe='')}/extend", json=body))


@app.command("release")
def release(
    context: typer.Context, lease: Lease, collection: Collection = "segments", _as_json: AlwaysJson = False
) -> None:
    """Give back what a lease still holds."""
    show(client(context).call("POST", f"{collections.at(collection)}/leases/{quote(lease, safe='')}/release", json={}))


@app.command("release-older")
def release_older(
    context: typer.Context,
    older_than: Annotated[float, typer.Option(min=0, help="Seconds since the lease was taken.")],
    collection: Collection = "segments",
    _as_json: AlwaysJson = False,
) -> None:
    """Give back what old leases still hold, whoever has them. Their attempts do not count."""
    at = f"{collections.at(collection)}/release"
    leases = items = 0
    asked = time.monotonic() - older_than  # what is taken from now on stays
    while (told := client(context).call("POST", at, json={"older_than": time.monotonic() - asked}))["leases"]:
        leases, items = leases + told["leases"], items + told["items"]
    show({"leases": leases, "items": items})


@app.command("submit")
def submit(
    context: typer.Context,
    lease: Lease,
    collection: Collection = "segments",
    completed: Annotated[list[str] | None, typer.Option(help="A key that is done; may be repeated.")] = None,
    failed: Annotated[list[str] | None, typer.Option(help="A key that failed.")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A key whose source is gone.")] = None,
    error: Annotated[str | None, typer.Option(help="Why.")] = None,
    _as_json: AlwaysJson = False,
) -> None:
    """Say what became of items; without any, all that the lease still holds is done."""
    said = (("completed", completed), ("failed", failed), ("missing", missing))
    results = [
        {"key": key, "state": state} | ({"error": error} if error and state != "completed" else {})
        for state, keys in said
        for key in keys or ()
    ]
    body = {"results": results} if results else {"completed": "all"}
    show(client(context).call("POST", f"{collections.at(collection)}/leases/{quote(lease, safe='')}/submit", json=body))
