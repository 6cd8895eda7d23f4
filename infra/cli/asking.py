"""`reelmill jobs submit`: ask for one job, or for as many as a file has lines."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from infra.cli.client import Refused
from infra.cli.context import Json, client, data, talk
from infra.cli.exits import Exit
from infra.cli.jobs import Timeout, conclude, follow

#: What one request takes, with some room.
MOST_LINES = 10_000
MOST_BYTES = 15 * 1024 * 1024
SHOWN = 10


def submit(
    context: typer.Context,
    kind: Annotated[str | None, typer.Argument(help="What to do, such as split.video.")] = None,
    params: Annotated[str, typer.Argument(help="The parameters as a JSON object.")] = "{}",
    key: Annotated[str | None, typer.Option(help="At most one live job has this key.")] = None,
    job_id: Annotated[str | None, typer.Option("--id", help="The job's id, a UUID; again gives the same job.")] = None,
    after: Annotated[list[str] | None, typer.Option(help="A job to wait for; may be repeated.")] = None,
    concurrency_key: Annotated[str | None, typer.Option(help="Jobs that share it run one at a time.")] = None,
    batch: Annotated[Path | None, typer.Option(help="A file with a request a line (NDJSON); - is stdin.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for its end.")] = False,
    timeout: Timeout = 3600,
    as_json: Json = False,
) -> None:
    """Ask for a job of any kind, or for many with --batch; exits with 1 when one of those was refused."""
    if (kind is None) == (batch is None):
        raise Refused("Say either a kind or --batch FILE.", Exit.USAGE)
    if batch is not None:
        _submit_all(context, batch, as_json)
        return
    terms = {"key": key, "id": job_id, "after": after, "concurrency_key": concurrency_key}
    try:
        body = {"kind": kind, "params": orjson.loads(params)} | {k: v for k, v in terms.items() if v}
    except orjson.JSONDecodeError as error:
        raise Refused(f"The parameters are not JSON: {error}", Exit.USAGE) from None
    job = client(context).call("POST", "/v1/jobs", json=body)
    conclude(follow(client(context), job, timeout) if wait else job, as_json)


def _submit_all(context: typer.Context, batch: Path, as_json: bool) -> None:
    caller = client(context)
    told: Counter[str] = Counter()
    sent = 0
    try:
        with sys.stdin.buffer if str(batch) == "-" else batch.open("rb") as source:
            for lines in _requests(source):
                for outcome in caller.lines("/v1/jobs", b"".join(lines)):
                    outcome["line"] += sent
                    told[outcome["status"]] += 1
                    _show(outcome, told, as_json)
                sent += len(lines)
    except OSError as error:
        raise Refused(f"The file cannot be read: {error}", Exit.USAGE) from None
    finally:
        talk.print(", ".join(f"{told[status]} {status}" for status in ("created", "duplicate", "refused")))
    if told["refused"]:
        raise typer.Exit(Exit.FAILED)


def _requests(source: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines in as few requests as possible."""
    lines: list[bytes] = []
    size = 0
    for line in source:
        if lines and (len(lines) == MOST_LINES or size + len(line) > MOST_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield lines


def _show(outcome: dict[str, Any], told: Counter[str], as_json: bool) -> None:
    if as_json:
        data.print(orjson.dumps(outcome).decode(), markup=False)
    elif outcome["status"] == "refused" and told["refused"] <= SHOWN:
        error = outcome["error"]
        talk.print(f"line {outcome['line']}: {error['message']} [{error['code']}]", markup=False, style="red")
