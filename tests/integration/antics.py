"""A handler that behaves as badly as it is told to, for tests of what the runtime does about it."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from sqlalchemy import text

from consumers.outcome import Done, Follow, JobError, Rejected
from consumers.ports import Workspace
from schemas.fields import FileReference, Strict

MIB = 1024 * 1024
kept: list[bytearray] = []


class Antics(Strict):
    """What to do, and how much of it."""

    file: FileReference
    do: str
    amount: int = 0


def handle(params: Antics, workspace: Workspace) -> Any:
    """Do it."""
    antic = ANTICS[params.do]
    return antic(params, workspace)


def behave(params: Antics, workspace: Workspace) -> Done:
    return Done({"pid": os.getpid()})


def for_ever(params: Antics, workspace: Workspace) -> Done:
    """Work for ever, beside a process of its own whose id is in a file."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    (workspace.scratch / "helper").write_text(str(helper.pid))
    while True:
        workspace.progress(50)
        time.sleep(0.05)


def grow(params: Antics, workspace: Workspace) -> Done:
    """Take memory and never give it back; then wait to be noticed, or end."""
    kept.append(bytearray(os.urandom(MIB)) * params.amount)
    return Done({"pid": os.getpid()})


def grow_and_stay(params: Antics, workspace: Workspace) -> Done:
    grow(params, workspace)
    return for_ever(params, workspace)


def freeze(params: Antics, workspace: Workspace) -> Done:
    """Stop in the middle of a transaction that has locked the job."""
    inside = vars(workspace)
    with inside["_engine"].begin() as connection:
        connection.execute(text("select from jobs where id = :id for update"), {"id": inside["_claim"].id})
        (workspace.scratch / "frozen").touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return Done()


def fill(params: Antics, workspace: Workspace) -> Done:
    """Write files that add up to this many MiB, in folders."""
    for number in range(params.amount):
        folder = workspace.scratch / f"folder-{number}" / "deep"
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(os.urandom(MIB))
    return for_ever(params, workspace)


def die(params: Antics, workspace: Workspace) -> Done:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(3600)
    return Done()


def leave(params: Antics, workspace: Workspace) -> Done:
    raise SystemExit(3)


def reject(params: Antics, workspace: Workspace) -> Done:
    raise Rejected("bad_input", "It is bad.")


def struggle(params: Antics, workspace: Workspace) -> Done:
    raise JobError("busy", "It is busy.")


def break_down(params: Antics, workspace: Workspace) -> Done:
    raise KeyError("/secret/path")


def say_nothing(params: Antics, workspace: Workspace) -> None:
    """Forget to return an outcome."""


def say_the_unsayable(params: Antics, workspace: Workspace) -> Done:
    return Done({"x": object()})


def say_the_unstorable(params: Antics, workspace: Workspace) -> Done:
    return Done({"x": "\x00"})


def spread(params: Antics, workspace: Workspace) -> Done:
    """Have so many jobs follow, and one that waits for them."""
    parts = tuple(Follow("probe.echo", {"text": str(n)}) for n in range(params.amount))
    return Done(jobs=(*parts, Follow("probe.echo", {"text": "all"}, after_siblings=True)))


def spread_nonsense(params: Antics, workspace: Workspace) -> Done:
    return Done(jobs=(Follow("no.such", {}),))


def spread_in_vain(params: Antics, workspace: Workspace) -> Done:
    return Done(jobs=(Follow("analyze.sleep", {"file": "ab" * 32, "time": 0}),))


ANTICS = {
    antic.__name__: antic
    for antic in (
        behave,
        for_ever,
        grow,
        grow_and_stay,
        freeze,
        fill,
        die,
        leave,
        reject,
        struggle,
        break_down,
        say_nothing,
        say_the_unsayable,
        say_the_unstorable,
        spread,
        spread_nonsense,
        spread_in_vain,
    )
}
