"""`reelmill schedules`: jobs that come again and again."""

from typing import Annotated
from urllib.parse import quote

import orjson
import typer

from infra.cli.client import Refused
from infra.cli.context import Json, client, done, show, table, talk
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Schedules: jobs that come again and again.")
Name = Annotated[str, typer.Argument(help="Its name.")]


@app.command("list")
def listing(context: typer.Context, as_json: Json = False) -> None:
    """Every schedule, and when it is next due."""
    found = list(client(context).pages("/v1/schedules", "schedules", limit=1000))
    if as_json:
        show(found)
        return
    rows = [
        (s["name"], s["cron"], s["timezone"], s["kind"], (s["next_at"] or "off")[:19], s["error"] or "") for s in found
    ]
    table(("name", "cron", "timezone", "kind", "next", "error"), rows)


@app.command("set")
def put(
    context: typer.Context,
    name: Name,
    cron: Annotated[str, typer.Argument(help="When, such as '0 6 * * 1-5'.")],
    kind: Annotated[str, typer.Argument(help="What to do, such as split.video.")],
    params: Annotated[str, typer.Argument(help="The parameters as a JSON object.")] = "{}",
    timezone: Annotated[str, typer.Option(help="Whose clock, such as Europe/Berlin.")] = "UTC",
    priority: Annotated[int, typer.Option(min=0, max=9)] = 0,
    overlap: Annotated[bool, typer.Option(help="Make a job although the one before still lives.")] = False,
    enabled: Annotated[bool, typer.Option(help="Whether it makes jobs.")] = True,
    as_json: Json = False,
) -> None:
    """Make a schedule, or replace the one of this name."""
    try:
        given = orjson.loads(params)
    except orjson.JSONDecodeError as error:
        raise Refused(f"The parameters are not JSON: {error}", Exit.USAGE) from None
    body = {"cron": cron, "timezone": timezone, "kind": kind, "params": given, "priority": priority}
    kept = client(context).call("PUT", _path(name), json=body | {"overlap": overlap, "enabled": enabled})
    if as_json:
        show(kept)
    else:
        talk.print(f"Next at {kept['next_at']}." if kept["next_at"] else "It is off.")


@app.command("rm")
def delete(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Forget a schedule. The jobs that it has made stay."""
    client(context).call("DELETE", _path(name))
    done("Forgotten.", as_json, {"deleted": name})


def _path(name: str) -> str:
    return f"/v1/schedules/{quote(name, safe='')}"
