"""`reelmill worker run`: takes items and runs a command for each; whoever ends it gives back what is not done."""

import logging
import os
import signal
import socket
import subprocess
from typing import Annotated, Any

import httpx
import typer

from infra.cli import collections, running
from infra.cli.client import Refused, refusal, unanswered
from infra.cli.context import client, talk
from infra.cli.exits import Exit
from infra.cli.items import Collection
from infra.worker import Lost, Terms, Worker
from schemas.items import legible

app = typer.Typer(no_args_is_help=True, help="Workers: run a command for every item.")
MISSING = 44
"""A command that exits with this says that the item's source is gone."""
TOLD_BYTES = 2000
LONGEST_VARIABLE = 128 * 1024
"""Bytes of `NAME=value` and the NUL behind it: Linux starts no command with a longer one."""


@app.command("run", context_settings={"ignore_unknown_options": True})
def run(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(help="The command; {key} and {partition} are put in.")],
    collection: Collection = "segments",
    name: Annotated[str, typer.Option(help="What this worker is called.")] = f"{socket.gethostname()}:{os.getpid()}",
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Items of one lease.")] = 1,
    ttl: Annotated[float | None, typer.Option(min=1, help="Seconds that a lease holds; it is extended.")] = None,
    partition: Annotated[str | None, typer.Option(help="Only of this partition.")] = None,
    forever: Annotated[bool, typer.Option(help="Wait for more when there is nothing.")] = False,
) -> None:
    """Run a command for every item: exit code 0 is completed, 44 missing, any other failed. 1 when not all completed.

    The command gets the attributes as ITEM_<NAME> in its environment. Ctrl-C, SIGTERM and a terminal that
    closes give back what is not done.
    """
    where = client(context)
    collections.at(collection)  # before anybody is asked
    logging.getLogger("reelmill.worker").addHandler(logging.StreamHandler())
    try:
        with Worker(where.url, where.token, collection, name, Terms(batch, ttl, partition), forever) as worker:
            # Not by way of SIGINT: whoever is started in the background by a script does not hear that one.
            for number in set(running.ending()) - {signal.SIGINT}:
                signal.signal(number, signal.default_int_handler)
            done, failed, lost = _all(worker, command)
    except httpx.HTTPStatusError as error:
        raise refusal(error.response) from None
    except httpx.HTTPError as error:
        raise unanswered(where.url, error) from None
    talk.print(f"{done} completed, {failed} not" + (f", {lost} lost" if lost else ""))
    if failed or lost:
        raise typer.Exit(Exit.FAILED)


def _all(worker: Worker, command: list[str]) -> tuple[int, int, int]:
    """Work on all that there is; how much was completed, how much not, and of how much nobody took our word."""
    done = failed = lost = 0
    for item in worker:
        state, error = _work(command, item)
        try:
            worker.report(item, state, error)
        except Lost as why:
            talk.print(f"{legible(item['key'])}: {why}", markup=False, style="yellow")
            lost += 1
            continue
        done += state == "completed"
        failed += state != "completed"
    return done, failed, lost


def _work(command: list[str], item: dict[str, Any]) -> tuple[str, str | None]:
    words = [word.replace("{key}", item["key"]).replace("{partition}", item["partition"]) for word in command]
    try:
        ended = subprocess.run(words, env=os.environ | _given(item), stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise Refused(f"The command cannot be run: {error}", Exit.USAGE) from None
    if ended.returncode == 0:
        return "completed", None
    # No text that is kept has a NUL: a report with one would be refused, and the attempt not counted.
    said = ended.stderr.replace(b"\0", b"").decode(errors="replace")[-TOLD_BYTES:].strip()
    return "missing" if ended.returncode == MISSING else "failed", said or f"exit code {ended.returncode}"


def _given(item: dict[str, Any]) -> dict[str, str]:
    """Its attributes as variables, but for those that no environment can hold."""
    made = {f"ITEM_{name.upper()}": str(value) for name, value in item["attributes"].items() if name}
    return {name: value for name, value in made.items() if "=" not in name and _fits(f"{name}={value}")}


def _fits(variable: str) -> bool:
    return "\0" not in variable and len(os.fsencode(variable)) < LONGEST_VARIABLE
