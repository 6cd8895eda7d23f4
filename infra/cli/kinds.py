"""`reelmill kinds`: what can be asked for, and what an operator says about it."""

from typing import Annotated, Any

import typer

from infra.cli.client import Refused
from infra.cli.context import Json, client, done, show, table, talk
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Kinds of jobs: list, pause, resume, limit.")
Name = Annotated[str, typer.Argument(help="The kind, such as split.video.")]
NUMBER = "A number, or `default` for the registry's."
DEFAULT = "default"


@app.command("list")
def listing(context: typer.Context, as_json: Json = False) -> None:
    """Every kind, with its limits."""
    kinds = client(context).call("GET", "/v1/kinds")["kinds"]
    if as_json:
        show(kinds)
        return
    rows = [
        (
            k["name"],
            k["consumer"],
            "paused" if k["paused"] else "",
            str(k["concurrency"] or "any"),
            str(k["per_key"]),
            str(k["starts_per_second"] or "any"),
            k["summary"],
        )
        for k in kinds
    ]
    table(("kind", "consumer", "", "at once", "per key", "starts/s", "what it does"), rows)


@app.command("pause")
def pause(context: typer.Context, kind: Name, as_json: Json = False) -> None:
    """Start no job of a kind until it is resumed. Jobs that run go on."""
    kept = client(context).call("POST", f"/v1/kinds/{kind}/pause")
    done("Paused.", as_json, kept)


@app.command("resume")
def resume(context: typer.Context, kind: Name, as_json: Json = False) -> None:
    """Start jobs of a kind again."""
    kept = client(context).call("POST", f"/v1/kinds/{kind}/resume")
    done("Resumed.", as_json, kept)


@app.command("limit")
def limit(
    context: typer.Context,
    kind: Name,
    concurrency: Annotated[str | None, typer.Option(help=f"Jobs that run at once. {NUMBER}")] = None,
    per_key: Annotated[str | None, typer.Option(help=f"Jobs with one key that run at once. {NUMBER}")] = None,
    starts_per_second: Annotated[str | None, typer.Option(help=f"How often one starts. {NUMBER}")] = None,
    as_json: Json = False,
) -> None:
    """Change how many jobs of a kind run at once, or how often one starts."""
    said = {"concurrency": concurrency, "per_key": per_key, "starts_per_second": starts_per_second}
    body = {name: _number(name, word) for name, word in said.items() if word is not None}
    kept = client(context).call("PATCH", f"/v1/kinds/{kind}", json=body)
    if as_json:
        show(kept)
    else:
        talk.print("Changed." if body else "Nothing was to be changed.")


def _number(name: str, word: str) -> Any:
    if word == DEFAULT:
        return None
    try:
        return float(word) if name == "starts_per_second" else int(word)
    except ValueError:
        raise Refused(f"{name} is a number or `{DEFAULT}`, not {word!r}.", Exit.USAGE) from None
