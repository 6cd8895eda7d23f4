"""`reelmill models`: what analyses work with."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from infra.cli import files
from infra.cli.client import Refused
from infra.cli.context import AlwaysJson, Json, client, data, done, show, table
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Models: what analyses work with.")
Reference = Annotated[str, typer.Argument(help="A model: name, or name@version.")]
Name = Annotated[str, typer.Argument(help="What to call it: a-z, 0-9, dot, dash and underscore.")]
Source = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


@app.command("list")
def listing(context: typer.Context, as_json: Json = False) -> None:
    """Every model, at its newest version."""
    found = list(client(context).pages("/v1/models", "models", limit=1000))
    if as_json:
        show(found)
        return
    rows = [(m["name"], str(m["version"]), m["kind"], m["engine"], ", ".join(m["points"])) for m in found]
    table(("name", "version", "kind", "engine", "points"), rows)


@app.command("show")
def describe(context: typer.Context, model: Reference, _as_json: AlwaysJson = False) -> None:
    """One version, whole."""
    show(client(context).call("GET", f"/v1/models/{model}"))


@app.command("add")
def add(context: typer.Context, name: Name, archive: Source, as_json: Json = False) -> None:
    """Register a DeepLabCut project: a zip with config.yaml and a trained snapshot."""
    caller = client(context)
    _register(context, {"name": name, "kind": "dlc", "file": files.send(caller, archive)["sha256"]}, as_json)


@app.command("rig")
def rig(
    context: typer.Context,
    name: Name,
    source: Source,
    model: Annotated[list[str], typer.Option(help="The model of each camera, or one for both.")],
    as_json: Json = False,
) -> None:
    """Register two calibrated cameras: a zip of a DeepLabCut 3-D project, or a JSON file with `cameras`."""
    body: dict[str, Any] = {"name": name, "kind": "rig", "models": model}
    if source.suffix.lower() == ".zip":
        body["file"] = files.send(client(context), source)["sha256"]
    else:
        body |= _document(source)
    _register(context, body, as_json)


@app.command("tracker")
def tracker(context: typer.Context, name: Name, source: Source, as_json: Json = False) -> None:
    """Register parameters of the built-in tracker: a JSON file with `points` and their colours."""
    _register(context, {"name": name, "kind": "tracker", "tracker": _document(source)}, as_json)


@app.command("rm")
def remove(context: typer.Context, model: Reference, as_json: Json = False) -> None:
    """Delete a version that nothing needs. Results that it has made stay."""
    client(context).call("DELETE", f"/v1/models/{model}")
    done("Deleted.", as_json, {"deleted": model})


def _register(context: typer.Context, body: dict[str, Any], as_json: bool) -> None:
    made = client(context).call("POST", "/v1/models", json=body)
    if as_json:
        show(made)
    else:
        data.print(f"{made['name']}@{made['version']}  {', '.join(made['points'])}", markup=False)


def _document(source: Path) -> dict[str, Any]:
    try:
        return dict(orjson.loads(source.read_bytes()))
    except (orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise Refused(f"{source.name} is not a JSON object: {error}", Exit.USAGE) from None
