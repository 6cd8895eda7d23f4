"""`reelmill clean-up`: let go of what is old."""

from typing import Annotated, Any

import typer

from infra.cli.context import Json, client, data, show


def clean_up(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    job_seconds: Annotated[float | None, typer.Option(min=0, help="Age of finished jobs.")] = None,
    file_seconds: Annotated[float | None, typer.Option(min=0, help="Age of uploads that no job reads.")] = None,
    as_json: Json = False,
) -> None:
    """Let go of what is older than its term: the settings' or these. The relay does it by itself."""
    given = {"job_seconds": job_seconds, "file_seconds": file_seconds}
    wanted: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    caller, jobs, files, freed, more = client(context), 0, 0, 0, True
    while more:
        done = caller.call("POST", "/v1/clean-up", json=wanted | {"dry_run": dry_run})
        jobs, files, freed = jobs + done["jobs"], files + done["files"], freed + done["bytes"]
        more = done["more"] and not dry_run
    if as_json:
        show(done | {"jobs": jobs, "files": files, "bytes": freed})
        return
    word = "would go" if dry_run else "went"
    least = "at least " if done["more"] else ""
    data.print(f"{least}{jobs} jobs, {files} files, {freed:,} bytes {word}; {done['stored_bytes']:,} bytes are kept.")
