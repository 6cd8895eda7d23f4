"""`reelmill jobs cancel|retry` on many jobs: shows what it would act on, asks, and follows the job that does it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from infra.cli.client import Client, Refused
from infra.cli.context import client, data, show, talk
from infra.cli.exits import Exit

State = Annotated[str | None, typer.Option(help="Every job in this state.")]
Kind = Annotated[str | None, typer.Option(help="Every job of this kind.")]
By = Annotated[str | None, typer.Option("--by", help="Every job that this token asked for.")]
After = Annotated[datetime | None, typer.Option(help="Only those asked for since then (UTC).")]
Before = Annotated[datetime | None, typer.Option(help="Only those asked for before then (UTC).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class Chosen:
    """Which jobs, by at least one field."""

    state: str | None
    kind: str | None
    submitted_by: str | None
    created_after: datetime | None
    created_before: datetime | None

    def filter(self) -> dict[str, Any]:
        """As the gateway reads it; empty when nothing was said."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return {n: f"{v.isoformat()}Z" if isinstance(v, datetime) else v for n, v in given.items()}


@dataclass(frozen=True)
class How:
    """Only look, do not ask, and for whom to print."""

    dry_run: bool
    yes: bool
    as_json: bool


def is_single(job_id: str | None, chosen: Chosen) -> bool:
    """Whether one job is meant. Raises Refused unless it is one job or a filter."""
    if (job_id is None) is (not chosen.filter()):
        raise Refused("Say which: one job's id, or a filter such as --state or --kind.", Exit.USAGE)
    return job_id is not None


def act(context: typer.Context, action: str, chosen: Chosen, how: How) -> None:
    """Do it to all that fit."""
    caller = client(context)
    wanted = {"action": action, "filter": chosen.filter()}
    if how.dry_run or not how.yes:
        seen = caller.call("POST", "/v1/jobs/bulk", json=wanted | {"dry_run": True})
        count = f"{seen['count']}+" if seen["more"] else str(seen["count"])
        if how.dry_run:
            show(seen) if how.as_json else data.print(
                f"{count} jobs, such as {', '.join(seen['sample'][:3]) or 'none'}"
            )
            return
        if not seen["count"]:
            talk.print("No job fits.")
            return
        _ask(f"{action} {count} jobs?")
    _conclude(caller, caller.call("POST", "/v1/jobs/bulk", json=wanted), how)


def _ask(question: str) -> None:
    if not talk.is_terminal:
        raise Refused(f"{question} Say --yes: there is nobody to ask.", Exit.USAGE)
    typer.confirm(question, abort=True, err=True)


def _conclude(caller: Client, job: dict[str, Any], how: How) -> None:
    done = caller.follow(job["id"], LONGEST_SECONDS, lambda _: None)
    if how.as_json:
        show(done)
    elif done["result"]:
        told = ", ".join(f"{count} {outcome}" for outcome, count in done["result"].items() if outcome != "action")
        talk.print(f"{told}. Each of them: reelmill jobs outputs {done['id']} --to FOLDER", markup=False)
    if done["state"] != "succeeded":
        talk.print(f"The job {done['id']} that does it has {done['state']}.", style="red", markup=False)
        raise typer.Exit(Exit.JOB_FAILED)
