"""`reelmill jobs`: list, show, wait, cancel, retry, outputs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from infra.cli import bulk
from infra.cli.bulk import Chosen, How
from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, data, done, show, size, table, talk
from infra.cli.events import details, headline
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Jobs: what is asked for, and what became of it.")
JobId = Annotated[str, typer.Argument(help="The job's id.")]
MaybeJobId = Annotated[str | None, typer.Argument(help="One job's id.")]
Timeout = Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")]


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
def cancel(
    context: typer.Context,
    job_id: MaybeJobId = None,
    tree: Annotated[bool, typer.Option("--tree", help="Of one job: also cancel all that followed from it.")] = False,
    state: bulk.State = None,
    kind: bulk.Kind = None,
    by: bulk.By = None,
    after: bulk.After = None,
    before: bulk.Before = None,
    dry_run: bulk.DryRun = False,
    yes: bulk.Yes = False,
    as_json: Json = False,
) -> None:
    """Cancel a job, waiting or running; or every job that fits."""
    if tree and job_id is None:
        raise Refused("--tree is for one job: give its id.", Exit.USAGE)
    chosen = Chosen(state, kind, by, after, before)
    if not bulk.is_single(job_id, chosen):
        bulk.act(context, "cancel", chosen, How(dry_run, yes, as_json))
        return
    job = client(context).call("POST", f"/v1/jobs/{job_id}/cancel", params={"tree": "1"} if tree else None)
    done("Cancelled." if job["state"] == "cancelled" else "The cancel is on its way to the consumer.", as_json, job)


@app.command("retry")
def retry(
    context: typer.Context,
    job_id: MaybeJobId = None,
    state: bulk.State = None,
    kind: bulk.Kind = None,
    by: bulk.By = None,
    after: bulk.After = None,
    before: bulk.Before = None,
    dry_run: bulk.DryRun = False,
    yes: bulk.Yes = False,
    as_json: Json = False,
) -> None:
    """Queue a failed or cancelled job again; or every job that fits."""
    chosen = Chosen(state, kind, by, after, before)
    if not bulk.is_single(job_id, chosen):
        bulk.act(context, "retry", chosen, How(dry_run, yes, as_json))
        return
    done("Queued.", as_json, client(context).call("POST", f"/v1/jobs/{job_id}/retry"))


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
    state = f"{job['state']} ({job['held']})" if job["held"] else job["state"]
    data.print(f"{job['id']}  {job['kind']}  {state}  {job['progress']:.0f} %  {attempts}", markup=False)
    if job["error"]:
        data.print(f"  {job['error']['code']}: {job['error']['message']}", markup=False)
    for name, value in (job["result"] or {}).items():
        data.print(f"  {name}: {value}", markup=False)


def timeline(events: list[dict[str, Any]]) -> None:
    """The facts about a job, one a line; steps of progress are left out."""
    for event in events:
        if headline(event) != "progress":
            data.print(f"  {event['occurred_at'][11:23]}  {headline(event):<16} {details(event)}", markup=False)


def save(caller: Client, found: list[dict[str, Any]], folder: Path) -> None:
    """Download outputs into a folder, under their names."""
    root = folder.resolve()
    for output in found:
        target = (root / output["name"]).resolve()
        if not target.is_relative_to(root):
            raise Refused(f"The output {output['name']!r} would leave the folder.")
        caller.download(output["href"], target)
    talk.print(f"{len(found)} outputs in {folder}")
