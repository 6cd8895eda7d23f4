"""`reelmill export`: the labelled data of a classifier's project, and the classifier, as one archive on this disk."""

from pathlib import Path
from typing import Annotated

import typer

from infra.cli import jobs
from infra.cli.context import Json, client, show, size, talk
from schemas.exports import Format


def export(
    context: typer.Context,
    classifier: Annotated[int, typer.Argument(min=1, help="The classifier's number.")],
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="json, ndjson or parquet; again for more.")
    ] = None,
    identities: Annotated[bool, typer.Option(help="Annotators by name, not by pseudonym. For admins.")] = False,
    to: Annotated[Path, typer.Option("--to", "-o", help="The folder to put the archive into.")] = Path(),
    timeout: jobs.Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Ask for an export, wait for it, and download the archive."""
    caller = client(context)
    wanted = {"formats": [each.value for each in formats or [Format.JSON]], "identities": identities}
    asked = caller.call("POST", f"/v1/classifiers/{classifier}/exports", json=wanted)
    job = jobs.follow(caller, caller.call("GET", asked["links"]["job"]), timeout)
    if job["state"] != "succeeded":
        jobs.conclude(job, as_json)
    made = caller.call("GET", asked["links"]["self"])
    target = to / made["result"]["archive"]
    written = caller.download(asked["links"]["content"], target)
    if as_json:
        show(made | {"path": str(target)})
    else:
        rows = ", ".join(f"{made['result'][name]} {name}" for name in ("human", "machine", "pending", "timestamps"))
        talk.print(f"{target} ({size(written)}): {rows}", markup=False)
