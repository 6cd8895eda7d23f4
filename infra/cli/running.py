"""A person's command for each of a few things that are held under a lease, which ends with the command line."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from infra.cli.client import Refused
from infra.cli.context import talk
from infra.cli.exits import Exit

MISSING = 44
"""A command that exits with this says that there is nothing to be had."""
MOST = 100
TOLD_BYTES = 900


def few(count: int) -> int:
    """A number from 1 to 100. Raises Refused with exit code 1, as scripts know it from the old client."""
    if not 1 <= count <= MOST:
        raise Refused(f"Between 1 and {MOST} at a time, please.", Exit.FAILED)
    return count


@contextmanager
def held(release: Callable[[], object]) -> Iterator[None]:
    """Give back what is left at the end, on Ctrl-C and on SIGTERM too."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        release()
        signal.signal(signal.SIGTERM, before)


def run(command: list[str], **words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with `{name}` put in. Raises Refused when it cannot be run at all."""
    filled = command
    for name, value in words.items():
        filled = [word.replace(f"{{{name}}}", value) for word in filled]
    try:
        return subprocess.run(filled, capture_output=True, text=True, errors="replace", check=False)
    except (OSError, ValueError) as error:
        raise Refused(f"The command cannot be run: {error}", Exit.USAGE) from None


def why(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command said before it failed, on one line."""
    said = " ".join(ended.stderr.split())[-TOLD_BYTES:]
    return said or f"exit code {ended.returncode}"


def conclude(done: int, failed: int) -> None:
    """Say how many; exit code 1 when not all."""
    talk.print(f"{done} done, {failed} not")
    if failed:
        raise typer.Exit(Exit.FAILED)
