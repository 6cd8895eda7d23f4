"""`reelmill items set-state`: the items that a file names, at once or, when they are many, by a job."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, get_args

import typer

from infra.cli import collections, files, jobs
from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, show, talk
from infra.cli.exits import Exit
from infra.cli.items import Collection, report
from schemas.items import KEY_SEPARATOR, LONGEST_KEY, key_of

AT_ONCE = 5000

Refusal = tuple[int, str, str]
"""A line, what stands there, and why it was refused."""


def set_state(
    context: typer.Context,
    state: Annotated[str, typer.Argument(help="available, completed, missing or failed.")],
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, dir_okay=False, help="A key on each line.")],
    collection: Collection = "segments",
    timeout: jobs.Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Set the state of every item that a file names: one a line, up to the first comma. 1 when one was refused."""
    _check(state)
    caller = client(context)
    # A job would have read the whole file before it misses its collection, and fail instead.
    caller.call("GET", collections.at(collection))
    with files.settled(file) as whole:
        with whole.open(encoding="utf-8-sig", errors="surrogateescape") as source:
            named = list(islice(_named(source), AT_ONCE + 1))
        if len(named) <= AT_ONCE:
            updated, refused = _at_once(caller, collection, state, named)
        else:
            updated, refused = _by_job(caller, collection, state, whole, timeout)
    if as_json:
        show({"updated": updated, "refused": [{"line": n, "key": ascii(k), "code": c} for n, k, c in sorted(refused)]})
    else:
        for number, key, code in sorted(refused):
            talk.print(f"line {number}: {key!a} [{code}]", markup=False, style="red")
        talk.print(f"{updated} updated, {len(refused)} refused")
    if refused:
        raise typer.Exit(Exit.FAILED)


def _check(state: str) -> None:
    """Raises Refused once, where each line would be refused alone."""
    from schemas.leases import Reported  # noqa: PLC0415 - costs every command its time

    *most, last = get_args(Reported)
    if state not in {*most, last}:
        raise Refused(f"There is no state {state!a} to set: {', '.join(most)} or {last}.", Exit.USAGE)


def _at_once(
    caller: Client, collection: str, state: str, named: Sequence[tuple[int, str]]
) -> tuple[int, list[Refusal]]:
    sound = {key: number for number, key in named if _is_text(key)}
    refused = [(number, key, "not_text") for number, key in named if key not in sound]
    if not sound:
        return 0, refused
    moves = [{"key": key, "state": state} for key in sound]
    told = caller.call("POST", f"{collections.at(collection)}/moves", json={"moves": moves})
    refused += [(sound[key], key, "unknown_item") for key in told["unknown"]]
    refused += [(sound[each["key"]], each["key"], each["code"]) for each in told["rejected"]]
    return told["updated"], refused


def _by_job(caller: Client, collection: str, state: str, file: Path, timeout: float) -> tuple[int, list[Refusal]]:
    uploaded = files.send(caller, file)
    params = {"collection": collection, "file": uploaded["sha256"], "state": state}
    job = jobs.follow(
        caller, caller.call("POST", "/v1/jobs", json={"kind": "items.set_state", "params": params}), timeout
    )
    if job["state"] != "succeeded":
        jobs.conclude(job, as_json=False)
        raise typer.Exit(Exit.JOB_FAILED)
    refused = [(each["line"], each["key"], each["code"]) for each in report(caller, job["id"])]
    return job["result"]["updated"], refused


def _named(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Keys as an import makes them, and as the job reads them; neither blank lines nor comments."""
    for number, line in enumerate(lines, 1):
        key = key_of(line.partition(",")[0].split(KEY_SEPARATOR))
        if key and not line.startswith("#"):
            yield number, key


def _is_text(key: str) -> bool:
    try:
        return len(key.encode()) <= LONGEST_KEY and "\0" not in key
    except UnicodeEncodeError:
        return False
