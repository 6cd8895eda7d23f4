"""`reelmill collections`: what items are in, by which rules they are handed out, and who has done how many."""

from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, show, table, talk
from infra.cli.exits import Exit
from schemas import leases

app = typer.Typer(no_args_is_help=True, help="Collections: items and the rules by which they are handed out.")
Name = Annotated[str, typer.Argument(help="The collection.")]
NAME: TypeAdapter[str] = TypeAdapter(leases.Name)
SCORES = ("taken", "completed", "missing", "failed", "nacked", "returned", "expired")


@app.command("list")
def listing(context: typer.Context, as_json: Json = False) -> None:
    """Every collection."""
    found = list(client(context).pages("/v1/collections", "collections", limit=1000))
    if as_json:
        show(found)
        return
    rows = [(c["name"], c["ordering"], c["created_by"], c["created_at"][:19]) for c in found]
    table(("name", "ordering", "by", "created"), rows)


@app.command("set")
def put(
    context: typer.Context,
    name: Name,
    ordering: Annotated[str | None, typer.Option(help="random or arrival.")] = None,
    ttl: Annotated[float | None, typer.Option(min=0.1, help="Seconds that a lease holds.")] = None,
    max_attempts: Annotated[int | None, typer.Option(min=1, help="How often an item is tried.")] = None,
    per_worker: Annotated[int | None, typer.Option(min=1, help="Items that one worker may hold.")] = None,
    as_json: Json = False,
) -> None:
    """Make a collection, or give one these rules; what is left out has its default."""
    rules = {"ordering": ordering, "ttl": ttl, "max_attempts": max_attempts, "per_worker": per_worker}
    body = {rule: value for rule, value in rules.items() if value is not None}
    kept = client(context).call("PUT", at(name), json=body)
    if as_json:
        show(kept)
    else:
        talk.print(f"{kept['name']}: {kept['ordering']}, leases of {kept['ttl']:g} s.", markup=False)


@app.command("show")
def one(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """The rules of a collection, and how far it is."""
    view = client(context).call("GET", at(name))
    if as_json:
        show(view)
        return
    for rule, value in view.items():
        if rule != "counts" and value is not None:
            data.print(f"{rule}: {value}", markup=False)
    table(("state", "items"), [(state, str(number)) for state, number in view["counts"].items()])


@app.command("leaderboard")
def leaderboard(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """What each worker has done."""
    found = client(context).call("GET", f"{at(name)}/leaderboard")["workers"]
    if as_json:
        show(found)
    else:
        table(("worker", *SCORES), [(w["worker"], *(str(w[score]) for score in SCORES)) for w in found])


def at(name: str) -> str:
    """Where a collection is. Raises Refused for what is no name: it could lead elsewhere."""
    try:
        return f"/v1/collections/{NAME.validate_python(name)}"
    except ValidationError:
        sentence = f"{name!r} is no collection's name: 1 to 100 letters, digits, dots, dashes and underscores."
        raise Refused(sentence, Exit.USAGE) from None


def ensure(caller: Client, name: str, rules: dict[str, Any]) -> None:
    """Make a collection with these rules, unless it is there."""
    try:
        caller.call("GET", at(name))
    except Refused as refused:
        if refused.code is not Exit.NOT_FOUND:
            raise
        caller.call("PUT", at(name), json=rules)
