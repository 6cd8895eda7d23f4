"""The command tree."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from infra.cli import (
    collections,
    datasets,
    dead,
    deliveries,
    fetch,
    files,
    inventory,
    items,
    jobs,
    kinds,
    lease,
    models,
    operate,
    projects,
    schedules,
    states,
    watching,
    webhooks,
    worker,
)
from infra.cli.analyze import analyze
from infra.cli.asking import submit
from infra.cli.backup import backup, restore
from infra.cli.cleanup import clean_up
from infra.cli.client import Refused
from infra.cli.context import Target, talk
from infra.cli.contracts import asyncapi, openapi
from infra.cli.doctor import console, doctor
from infra.cli.events import events
from infra.cli.export import export
from infra.cli.replicate import replicate
from infra.cli.split import split
from infra.refusals import CannotStart

app = typer.Typer(
    name="reelmill",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reelmill: datasets out of media. Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 denied, 5 conflict, "
    "6 job failed, 7 timeout.",
)
app.add_typer(collections.app, name="collections")
app.add_typer(datasets.app, name="dataset")
app.add_typer(dead.app, name="dead")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(deliveries.manifests, name="manifests")
app.add_typer(files.app, name="files")
app.add_typer(jobs.app, name="jobs")
jobs.app.command("submit")(submit)
items.app.command("set-state")(states.set_state)
app.add_typer(items.app, name="items")
app.command()(items.audioset)
app.add_typer(lease.app, name="lease")
app.add_typer(inventory.app, name="inventory")
app.add_typer(fetch.app, name="fetch")
app.add_typer(worker.app, name="worker")
app.add_typer(watching.workers, name="workers")
app.add_typer(kinds.app, name="kinds")
app.add_typer(models.app, name="models")
app.add_typer(projects.app, name="projects")
app.add_typer(watching.queues, name="queues")
app.add_typer(schedules.app, name="schedules")
app.add_typer(operate.tokens, name="token")
app.add_typer(webhooks.app, name="webhooks")
app.command()(operate.up)
app.command()(operate.demo)
app.command()(operate.migrate)
app.command()(operate.producer)
app.command()(backup)
app.command()(restore)
app.command()(split)
app.command()(clean_up)
app.command()(openapi)
app.command()(asyncapi)
app.command()(export)
app.command()(analyze)
app.command()(console)
app.command()(doctor)
app.command()(events)
app.command()(replicate)


@app.callback()
def target(
    context: typer.Context,
    home: Annotated[Path, typer.Option(envvar="REELMILL_HOME", help="Where the local system keeps its data.")] = Path(
        ".reelmill"
    ),
    url: Annotated[
        str | None, typer.Option(envvar="REELMILL_URL", help="The gateway; found in the home if absent.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="REELMILL_TOKEN", help="A token; found in the home if absent.")
    ] = None,
) -> None:
    """Reelmill: datasets out of media."""
    context.obj = Target(home, url, token)


def main() -> None:
    """Run, and turn what went wrong into a sentence and an exit code."""
    try:
        app()
    except Refused as refused:
        talk.print(str(refused), style="red", markup=False)
        sys.exit(refused.code)
    except CannotStart as error:
        talk.print(str(error), style="red", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
