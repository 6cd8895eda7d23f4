"""`reelmill fetch`: take what is to be fetched from a host, say where it lies now or that it cannot be had."""

import subprocess
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from infra.cli import running
from infra.cli.client import Client
from infra.cli.context import AlwaysJson, Json, client, data, show, table
from infra.cli.inventory import Count, Lease

app = typer.Typer(no_args_is_help=True, help="Fetch tasks: things at hosts that somebody looks for.")
Host = Annotated[str, typer.Argument(help="The host, by its name or any address at it.")]
Task = Annotated[int, typer.Argument(min=1, help="The task's number.")]
Ttl = Annotated[float | None, typer.Option(min=0.1, help="Seconds; 14 days by default.")]


@app.command("lease", context_settings={"ignore_unknown_options": True})
def lease(context: typer.Context, host: Host, count: Count, ttl: Ttl = None, _as_json: AlwaysJson = False) -> None:
    """Take tasks of a host. Prints JSON."""
    show(_taken(client(context), host, running.few(count), ttl))


@app.command("extend")
def extend(context: typer.Context, lease: Lease, ttl: Ttl = None, _as_json: AlwaysJson = False) -> None:
    """Hold tasks for longer. Prints JSON."""
    show(_extended(client(context), lease, ttl))


@app.command("release")
def release(context: typer.Context, lease: Lease, _as_json: AlwaysJson = False) -> None:
    """Give tasks back. Prints JSON."""
    show(_released(client(context), lease))


@app.command("deliver")
def deliver(
    context: typer.Context,
    task: Task,
    location: Annotated[str, typer.Argument(help="Where its content lies.")],
    _as_json: AlwaysJson = False,
) -> None:
    """Say where a task's content lies. Prints JSON."""
    show(_told(client(context), {"filled": [{"task": task, "location": location}]}))


@app.command("unavailable")
def unavailable(
    context: typer.Context,
    task: Task,
    reason: Annotated[str, typer.Argument(help="Why.")],
    _as_json: AlwaysJson = False,
) -> None:
    """Say that a task's content cannot be had: what asked for it is looked for again. Prints JSON."""
    show(_told(client(context), {"unavailable": [{"task": task, "reason": reason}]}))


@app.command("reopen")
def reopen(context: typer.Context, task: Task, _as_json: AlwaysJson = False) -> None:
    """Fetch again what was filled or given up. Prints JSON."""
    show(client(context).call("POST", f"/v1/fetch-tasks/{task}/reopen"))


@app.command("list")
def listing(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Only of this host.")] = None,
    state: Annotated[str | None, typer.Option(help="open, leased, filled or unavailable.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 30,
    as_json: Json = False,
) -> None:
    """Some tasks."""
    wanted = {"host": host, "state": state, "limit": limit}
    params = {name: value for name, value in wanted.items() if value is not None}
    tasks = client(context).call("GET", "/v1/fetch-tasks", params=params)["tasks"]
    if as_json:
        show(tasks)
        return
    names = ("id", "host", "external_id", "state", "worker", "location", "reason")
    table(("task", *names[1:]), [[str(task[name] or "") for name in names] for task in tasks])


@app.command("show")
def one(context: typer.Context, task: Task, as_json: Json = False) -> None:
    """One task, the items that asked for it, and all that it has been."""
    told = client(context).call("GET", f"/v1/fetch-tasks/{task}")
    if as_json:
        show(told)
        return
    for name, value in told.items():
        if value is not None and name not in {"items", "history"}:
            data.print(f"{name}: {value}", markup=False)
    table(("collection", "item", "state"), [(i["collection"], i["key"], i["state"]) for i in told["items"]])
    moves = [(v["at"][:19], v["by"], v["state"], v["location"] or v["reason"] or "") for v in told["history"]]
    table(("when", "who", "state", "what"), moves)


@app.command("run", context_settings={"ignore_unknown_options": True})
def run(
    context: typer.Context,
    host: Host,
    count: Count,
    command: Annotated[list[str], typer.Argument(help="The command; {id}, {host} and {task} are put in.")],
    ttl: Ttl = None,
) -> None:
    """Take tasks of a host and run a command for each; the last line that it prints is where the content lies now.

    Exit code 44 says that it cannot be had. After any other failure the task goes back, and so do all that are left on
    Ctrl-C, SIGTERM and when the terminal closes. All are held as long as it takes. Exit code 1 when a command failed.
    """
    caller, number = client(context), running.few(count)
    with running.held(lambda: _taken(caller, host, number, ttl), lambda lease: _released(caller, lease)) as told:
        keeper = running.Keeper(lambda: _extended(caller, told["lease"]), ttl or _left(told["expires_at"]))

        def fetch(task: dict[str, Any]) -> str | None:
            with keeper.at_work():
                ended = running.run(command, id=task["external_id"], host=told["host"], task=str(task["id"]))
            return _reported(caller, told["lease"], task["id"], ended)

        done, failed = running.through(told["tasks"], fetch)
    running.conclude(done, failed)


def _reported(caller: Client, lease: str, task: int, ended: subprocess.CompletedProcess[str]) -> str | None:
    """Tell what a command has found out about a task; if that is nothing, why."""
    lines = ended.stdout.split("\n") if ended.returncode == 0 else []
    location = next((line.strip() for line in reversed(lines) if line.strip()), None)
    if location is not None:
        _told(caller, {"filled": [{"task": task, "location": location}], "lease": lease})
        return None
    if ended.returncode == running.MISSING:
        _told(caller, {"unavailable": [{"task": task, "reason": running.why(ended)}], "lease": lease})
        return None
    return running.why(ended) if ended.returncode else "the command printed no location"


def _left(until: str | None) -> float:
    """The seconds that a lease lasts if nobody said it: days, so that it does not matter whose clock is right."""
    return max((datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds(), 1.0) if until is not None else 1.0


def _taken(caller: Client, host: str, count: int, ttl: float | None) -> dict[str, Any]:
    body = {"host": host, "count": count, "worker": "cli"} | ({"ttl": ttl} if ttl is not None else {})
    return dict(caller.call("POST", "/v1/fetch-leases", json=body))


def _extended(caller: Client, lease: str, ttl: float | None = None) -> Any:
    return caller.call(
        "POST", f"/v1/fetch-leases/{quote(lease, safe='')}/extend", json={"ttl": ttl} if ttl is not None else {}
    )


def _released(caller: Client, lease: str) -> Any:
    return caller.call("POST", f"/v1/fetch-leases/{quote(lease, safe='')}/release", json={})


def _told(caller: Client, report: dict[str, Any]) -> Any:
    return caller.call("POST", "/v1/fetch-reports", json=report)
