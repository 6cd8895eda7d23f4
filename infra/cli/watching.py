"""`reelmill workers`, `reelmill queues`: who works, and what waits."""

import typer

from infra.cli.context import Json, client, show, table

workers = typer.Typer(no_args_is_help=True, help="Workers: who holds jobs and items, and who has gone silent.")
queues = typer.Typer(
    no_args_is_help=True, help="Queues: what waits for each consumer. Kinds are paused: `kinds pause`."
)


@workers.command("list")
def list_workers(context: typer.Context, as_json: Json = False) -> None:
    """Those that hold jobs or items, and those that have ended a job within the hour."""
    found = client(context).call("GET", "/v1/workers")
    if as_json:
        show(found)
        return
    busy = [
        (w["worker"], _state(w), w["consumer"], f"{w['jobs']} jobs", w["since"][:19], w["lease_until"][:19])
        for w in found["busy"]
    ]
    holding = [
        (
            w["worker"],
            _state(w),
            ", ".join(w["collections"]),
            f"{w['items']} items",
            w["since"][:19],
            w["expires_at"][:19],
        )
        for w in found["holding"]
    ]
    known = {row[0] for row in busy}
    idle = [
        (w["worker"], "idle", "", f"{w['succeeded']} succeeded, {w['failed']} failed this hour", w["last_at"][:19], "")
        for w in found["lately"]
        if w["worker"] not in known
    ]
    table(("worker", "state", "consumer or collections", "what", "since", "until"), busy + holding + idle)


@queues.command("list")
def list_queues(context: typer.Context, as_json: Json = False) -> None:
    """What waits and runs, and how long the oldest has waited."""
    found = client(context).call("GET", "/v1/queues")["queues"]
    if as_json:
        show(found)
        return
    rows = [
        (q["name"], str(q["queued"]), str(q["running"]), _seconds(q["oldest_seconds"]), ", ".join(q["kinds"]))
        for q in found
    ]
    table(("queue", "waiting", "running", "oldest wait", "kinds"), rows)


def _state(worker: dict[str, object]) -> str:
    return "silent" if worker["silent"] else "at work"


def _seconds(count: float | None) -> str:
    return "" if count is None else f"{count:.0f} s"
