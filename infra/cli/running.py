"""A person's command for each of a few things that are held under a lease, which ends with the command line."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from infra.cli.client import Refused
from infra.cli.context import talk
from infra.cli.exits import Exit

MISSING = 44
"""A command that exits with this says that there is nothing to be had."""
MOST = 100
TOLD_BYTES = 900
BEATS = 3
"""How often a lease is extended in its life."""
SHORTEST_BEAT = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They end a run: somebody, a supervisor, or a terminal that closes."""


def few(count: int) -> int:
    """A number from 1 to 100. Raises Refused with exit code 1, as scripts know it from the old client."""
    if not 1 <= count <= MOST:
        raise Refused(f"Between 1 and {MOST} at a time, please.", Exit.FAILED)
    return count


def ending() -> list[signal.Signals]:
    """The signals that end a run. Under `nohup` a terminal that closes does not."""
    return [n for n in SIGNALS if n is not signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]


@contextmanager
def held(take: Callable[[], dict[str, Any]], release: Callable[[str], object]) -> Iterator[dict[str, Any]]:
    """What is taken, with its `lease`; what is left is given back at the end, also on a signal that ends the run.

    A signal that comes while something is being taken waits for the answer, which says what there is to give back.
    """
    noted: list[int] = []
    before = {number: signal.signal(number, lambda number, _: noted.append(number)) for number in ending()}
    lease = None
    try:
        told = take()
        lease = told.get("lease")
        for number in before:
            signal.signal(number, signal.default_int_handler)
        if noted:
            raise KeyboardInterrupt
        yield told
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        if lease is not None:
            release(lease)
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Keeper:
    """Keeps a lease, which lasts so many seconds, as long as something is done under it."""

    extend: Callable[[], object]
    seconds: float
    lost: bool = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Extend the lease now, and again and again until the block is left.

        One that is lost all the same is told of once; a late report still counts while nobody else holds the thing.
        """
        self._beat()
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep(self, over: threading.Event) -> None:
        while not over.wait(max(self.seconds / BEATS, SHORTEST_BEAT)):
            self._beat()

    def _beat(self) -> None:
        if self.lost:
            return
        try:
            self.extend()
        except Refused as refused:
            # Anything else may be better the next time.
            if refused.code in {Exit.CONFLICT, Exit.NOT_FOUND}:
                self.lost = True
                talk.print(f"{refused} What nobody else takes counts all the same.", markup=False, style="yellow")


def through(things: Sequence[dict[str, Any]], work: Callable[[dict[str, Any]], str | None]) -> tuple[int, int]:
    """Do each thing, and say why not where `work` says so. What somebody else has by now ends nothing but itself.

    How many are done, and how many are not.
    """
    failed = 0
    for thing in things:
        try:
            reason = work(thing)
        except Refused as refused:
            if refused.code is not Exit.CONFLICT:
                raise
            reason = str(refused)
        if reason is not None:
            failed += 1
            talk.print(f"{thing['id']}: {reason}", markup=False, style="red")
    return len(things) - failed, failed


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
