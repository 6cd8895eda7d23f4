"""The inside of a warm child process: one handler call after another, imports and models stay loaded.

A process of our own with one private pipe, rather than a pool of concurrent.futures or Pebble: those share locks and
queues between their processes, and a `kill -9` at the wrong moment leaves one held for ever. Here nothing is shared, so
the parent may kill a child at any moment: that is how cancel, fencing and limits work.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

import orjson
import structlog
from pydantic import ValidationError
from sqlalchemy import Engine

from consumers.outcome import Done, Fail, JobError, Later, Outcome, outcome_of
from consumers.registry import Work, load
from consumers.runtime import offspring
from consumers.runtime.devices import Place
from consumers.runtime.workspace import StoredWorkspace
from infra import db, garbage, telemetry
from infra.claims import Claim
from infra.settings import Settings
from infra.storage import Storage
from schemas import versions
from schemas.versions import UnknownVersion

PR_SET_PDEATHSIG = 1
#: What libraries that handlers import do without: a display, the network, bars, an opinion about unsafe weights.
QUIET = {"MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TORCH_LOAD_WEIGHTS_ONLY": "1"}

log = structlog.get_logger()


@dataclass(frozen=True)
class Task:
    """One attempt, handed to a child."""

    claim: Claim
    scratch: Path


@dataclass(frozen=True)
class Said:
    """What a child answers: how the attempt with this token went."""

    token: int
    outcome: Outcome


@dataclass(frozen=True)
class Boot:
    """What a child is started with."""

    settings: Settings
    name: str
    work: Mapping[str, Work]
    parent: int
    place: Place | int | None = None
    """On the device that the child works with. In the child it is the open file that keeps the place."""


def main(boot: Boot, pipe: Connection) -> None:
    """Serve until the parent goes or kills us."""
    _die_with(boot.parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the whole group gets Ctrl-C; the parent decides what it means for us
    telemetry.configure(boot.settings, boot.name)
    os.environ.update(QUIET)
    tasks: SimpleQueue[Task] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, tasks), daemon=True).start()
    engine = _engine(boot)
    storage = Storage(boot.settings)
    _warm_up(boot.work)
    garbage.spare()
    while True:
        task = tasks.get()
        with telemetry.about(task.claim.id, task.claim.traceparent):
            pipe.send(Said(task.claim.token, _attempt(task, boot, engine, storage)))


def _engine(boot: Boot) -> Engine:
    """Frozen in the middle of a transaction, a child must not hold its job's row for longer than its lease."""
    idle = min(boot.settings.lease_seconds / 2, db.LONGEST_IDLE_SECONDS)
    url = boot.settings.database_url.get_secret_value()
    return db.connect(url, pool=2, application=f"{boot.name}-child", idle_seconds=idle)


def _attempt(task: Task, boot: Boot, engine: Engine, storage: Storage) -> Outcome:
    claim, work = task.claim, boot.work
    try:
        kind = work[claim.kind].kind
        if claim.version > kind.version:
            return Later("newer_version", "The job is of a newer version than this consumer knows.")
        params = kind.params.model_validate(versions.upgraded(kind, claim.version, claim.params))
        workspace = StoredWorkspace(claim, task.scratch, engine, storage, device=boot.settings.device)
        done = load(work[claim.kind])(params, workspace)
        return _checked(done)
    except (ValidationError, UnknownVersion) as error:
        log.error("parameters are not valid", action="attempt.invalid", exc_info=error)
        return Fail("invalid_parameter", "The parameters are not those of this kind.")
    except JobError as error:
        log.info("attempt ended", action="attempt.ended", code=error.code, reason=error.message)
        return outcome_of(error)
    except BaseException as error:
        log.error("attempt broke", action="attempt.broke", exc_info=error)
        return outcome_of(error)


def _checked(done: Done) -> Done:
    """A handler's word, if it can be written down at all: anything else is the handler's mistake."""
    if not isinstance(done, Done):
        raise TypeError(f"a handler returns Done, not {type(done).__name__}")
    orjson.dumps(done.result)
    offspring.check(done.jobs)
    return done


def _warm_up(work: Mapping[str, Work]) -> None:
    """Import the handlers before the first job. One that fails says so, and fails its own jobs only."""
    for one in work.values():
        try:
            load(one)
        except Exception as error:
            log.error("cannot import a handler", action="child.import_failed", kind=one.kind.name, exc_info=error)


def _listen(pipe: Connection, tasks: "SimpleQueue[Task]") -> None:
    """Read the pipe in a thread of its own, so that its end is noticed in the middle of a job, too."""
    try:
        while True:
            tasks.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone: no clean-up, nothing that we still do may leave a trace


def _die_with(parent: int) -> None:
    """Have the kernel kill us when the parent dies, however it dies. Elsewhere the end of the pipe has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
