"""`reelmill jobs`: list, show, wait, cancel, retry, outputs."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, show, size, table, talk
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Jobs: what is asked for, and what became of it.")
JobId = Annotated[str, typer.Argument(help="The job's id.")]
Timeout = Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")]


@app.command("submit")
def submit(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="What to do, such as split.video.")],
    params: Annotated[str, typer.Argument(help="The parameters as a JSON object.")] = "{}",
    key: Annotated[str | None, typer.Option(help="At most one live job has this key.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for its end.")] = False,
    timeout: Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Ask for a job of any kind."""
    try:
        body = {"kind": kind, "params": orjson.loads(params)} | ({"key": key} if key else {})
    except orjson.JSONDecodeError as error:
        raise Refused(f"The parameters are not JSON: {error}", Exit.USAGE) from None
    job = client(context).call("POST", "/v1/jobs", json=body)
    conclude(follow(client(context), job, timeout) if wait else job, as_json)


@app.command("list")
def listing(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only jobs of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 30,
    as_json: Json = False,
) -> None:
    """The newest jobs."""
    wanted = {"state": state, "kind": kind, "limit": limit}
    page = client(context).call("GET", "/v1/jobs", params={k: v for k, v in wanted.items() if v is not None})
    if as_json:
        show(page["jobs"])
        return
    rows = [
        (
            j["id"],
            j["kind"],
            j["state"],
            f"{j['progress']:.0f} %",
            f"{j['attempt']}/{j['max_attempts']}",
            j["created_at"][:19],
        )
        for j in page["jobs"]
    ]
    table(("id", "kind", "state", "progress", "attempt", "created"), rows)
    if page["next"]:
        talk.print(f"Only the newest {limit} are shown.")


@app.command("show")
def one(context: typer.Context, job_id: JobId, as_json: Json = False) -> None:
    """One job with its timeline."""
    caller = client(context)
    job = caller.call("GET", f"/v1/jobs/{job_id}")
    events = caller.call("GET", f"/v1/jobs/{job_id}/events")["events"]
    if as_json:
        show(job | {"events": events})
        return
    describe(job)
    timeline(events)


@app.command("wait")
def wait_for(context: typer.Context, job_id: JobId, timeout: Timeout = 3600, as_json: Json = False) -> None:
    """Wait until a job has ended; exits with 6 unless it has succeeded."""
    caller = client(context)
    conclude(follow(caller, caller.call("GET", f"/v1/jobs/{job_id}"), timeout), as_json)


@app.command("cancel")
def cancel(context: typer.Context, job_id: JobId) -> None:
    """Cancel a job, waiting or running."""
    job = client(context).call("POST", f"/v1/jobs/{job_id}/cancel")
    talk.print("Cancelled." if job["state"] == "cancelled" else "The cancel is on its way to the consumer.")


@app.command("retry")
def retry(context: typer.Context, job_id: JobId) -> None:
    """Queue a failed or cancelled job again."""
    client(context).call("POST", f"/v1/jobs/{job_id}/retry")
    talk.print("Queued.")


@app.command("outputs")
def outputs(
    context: typer.Context,
    job_id: JobId,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Download all of them into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """What a job made; with --to, download it."""
    caller = client(context)
    found = list(caller.pages(f"/v1/jobs/{job_id}/outputs", "outputs", limit=1000))
    if to is not None:
        save(caller, found, to)
    elif as_json:
        show(found)
    else:
        table(
            ("name", "size", "type", "sha256"),
            [(o["name"], size(o["size"]), o["content_type"], o["sha256"]) for o in found],
        )


def follow(caller: Client, job: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Watch a job with a progress bar until it has ended."""
    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as bars:
        bar = bars.add_task(job["kind"], total=100)

        def seen(now: dict[str, Any]) -> None:
            bars.update(bar, completed=now["progress"], description=f"{now['kind']} {now['state']}")

        return caller.follow(job["id"], timeout, seen)


def conclude(job: dict[str, Any], as_json: bool) -> None:
    """Print the job, and leave with 6 when it ended without success."""
    if as_json:
        show(job)
    else:
        describe(job)
    if job["state"] in {"failed", "cancelled"}:
        raise typer.Exit(Exit.JOB_FAILED)


def describe(job: dict[str, Any]) -> None:
    """A job for people."""
    attempts = f"attempt {job['attempt']} of {job['max_attempts']}"
    data.print(f"{job['id']}  {job['kind']}  {job['state']}  {job['progress']:.0f} %  {attempts}", markup=False)
    if job["error"]:
        data.print(f"  {job['error']['code']}: {job['error']['message']}", markup=False)
    for name, value in (job["result"] or {}).items():
        data.print(f"  {name}: {value}", markup=False)


def timeline(events: list[dict[str, Any]]) -> None:
    """The facts about a job, one a line; steps of progress are left out."""
    for event in events:
        what = event["type"].rpartition(".")[2]
        if what != "progress":
            shown = ", ".join(str(event["data"][k]) for k in ("worker", "error_code", "run_at") if k in event["data"])
            data.print(f"  {event['occurred_at'][11:23]}  {what:<16} {shown}", markup=False)


def save(caller: Client, found: list[dict[str, Any]], folder: Path) -> None:
    """Download outputs into a folder, under their names."""
    root = folder.resolve()
    for output in found:
        target = (root / output["name"]).resolve()
        if not target.is_relative_to(root):
            raise Refused(f"The output {output['name']!r} would leave the folder.")
        caller.download(output["href"], target)
    talk.print(f"{len(found)} outputs in {folder}")
