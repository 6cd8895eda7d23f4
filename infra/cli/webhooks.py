"""`reelmill webhooks`: addresses that facts are sent to."""

import time
from typing import Annotated, Any

import typer

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, done, show, table, talk
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Webhooks: addresses that facts are sent to, signed.")
HookId = Annotated[str, typer.Argument(help="The webhook's id.")]
LOOK_SECONDS = 0.2


@app.command("list")
def listing(context: typer.Context, as_json: Json = False) -> None:
    """Every webhook."""
    found = client(context).call("GET", "/v1/webhooks")["webhooks"]
    if as_json:
        show(found)
        return
    table(("id", "url", "types", "state"), [(h["id"], h["url"], ", ".join(h["types"]), _state(h)) for h in found])


@app.command("add")
def add(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Where to, http or https.")],
    types: Annotated[
        list[str] | None, typer.Option(help="Which facts, such as 'job.#.succeeded'; may be repeated. All if absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send facts to an address from now on. The secret is printed once."""
    made = client(context).call("POST", "/v1/webhooks", json={"url": url} | ({"types": types} if types else {}))
    _show_secret(made, as_json)


@app.command("rotate")
def rotate(context: typer.Context, webhook_id: HookId, as_json: Json = False) -> None:
    """Make a new secret and print it once. For a day the old one signs, too."""
    _show_secret(client(context).call("POST", f"/v1/webhooks/{webhook_id}/rotate"), as_json)


@app.command("rm")
def delete(context: typer.Context, webhook_id: HookId, as_json: Json = False) -> None:
    """Forget a webhook."""
    client(context).call("DELETE", f"/v1/webhooks/{webhook_id}")
    done("Forgotten.", as_json, {"deleted": webhook_id})


@app.command("enable")
def enable(context: typer.Context, webhook_id: HookId, as_json: Json = False) -> None:
    """Have a webhook that was given up go on where it stopped."""
    kept = client(context).call("POST", f"/v1/webhooks/{webhook_id}/enable")
    done("It goes on.", as_json, kept)


@app.command("test")
def try_out(
    context: typer.Context,
    webhook_id: HookId,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 30,
    as_json: Json = False,
) -> None:
    """Send a fact that tells nothing, and wait for what the other side answers; exits with 1 unless it is a 2xx."""
    caller = client(context)
    before = max((delivery["seq"] for delivery in _deliveries(caller, webhook_id, 1)), default=0)
    caller.call("POST", f"/v1/webhooks/{webhook_id}/test")
    delivery = _tried(caller, webhook_id, before, timeout)
    if as_json:
        show(delivery)
    if delivery["error"]:
        raise Refused(f"Not delivered: {delivery['error']}. It is tried again.")
    talk.print(f"Delivered: {delivery['status']}.")


@app.command("deliveries")
def deliveries(
    context: typer.Context,
    webhook_id: HookId,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 30,
    as_json: Json = False,
) -> None:
    """What became of the newest facts on their way to a webhook."""
    found = _deliveries(client(context), webhook_id, limit)
    if as_json:
        show(found)
        return
    rows = [
        (str(d["seq"]), d["type"] or "", d["state"], str(d["attempt"]), str(d["status"] or ""), d["error"] or "")
        for d in found
    ]
    table(("seq", "type", "state", "attempts", "status", "error"), rows)


def _tried(caller: Client, webhook_id: str, before: int, timeout: float) -> dict[str, Any]:
    """The delivery of a test that was asked for after the fact `before`, once it was attempted."""
    until = time.monotonic() + timeout
    while True:
        for delivery in _deliveries(caller, webhook_id, 100):
            if delivery["seq"] > before and delivery["type"] == "webhook.test" and delivery["attempt"]:
                return delivery
        if time.monotonic() > until:
            raise Refused(f"Not tried within {timeout:g} s: reelmill webhooks deliveries {webhook_id}", Exit.TIMEOUT)
        time.sleep(LOOK_SECONDS)


def _deliveries(caller: Client, webhook_id: str, limit: int) -> list[dict[str, Any]]:
    found = caller.call("GET", f"/v1/webhooks/{webhook_id}/deliveries", params={"limit": limit})
    return list(found["deliveries"])


def _show_secret(hook: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show(hook)
        return
    talk.print(f"{hook['id']}  {hook['url']}\nIts secret, shown only now:", markup=False)
    data.print(hook["secret"], markup=False)


def _state(hook: dict[str, Any]) -> str:
    if hook["disabled_at"]:
        return f"disabled: {hook['disabled_reason']}"
    return f"failing since {hook['failing_since'][:19]}" if hook["failing_since"] else "well"
