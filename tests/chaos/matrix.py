"""The crash matrix: each process is killed at each step of its work, once, and the same work is asked for every time.

What must hold afterwards is counted step by step and printed as a table. `make chaos` runs it before the storm.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, text

from infra.cli.local import COMMANDS
from tests.broker import declare
from tests.bucket import Bucket
from tests.chaos import invariants
from tests.chaos.play import settings_of
from tests.chaos.reconcile import named_objects, reconcile
from tests.clips.factory import Clips, Recipe
from tests.system import System, until

NAMES = ("gateway", "relay", "dispatcher", "splitter")
ECHOES = 20
#: Seconds for one step, with a process that starts twice on a busy machine.
PATIENCE = 300.0
ITEMS = 3


@dataclass(frozen=True)
class Step:
    """One point of one process's work. `child`: of the process that it starts for heavy work."""

    process: str
    moment: str
    where: str
    what: str
    child: bool = False


OUTBOX = "infra.outbox:Outbox._announce"
COMMITTER = "consumers.runtime.fast.committing:Committer.commit"
ADMISSION = "consumers.runtime.admission:Admission.admit"
ENDING = "consumers.runtime.endings:settle"
DESK = "infra.leasing.desk:answer"
STORE = "consumers.runtime.workspace:StoredWorkspace._put"
CHECKPOINT = "consumers.runtime.workspace:StoredWorkspace.checkpoint"
STEPS = (
    Step("gateway", "before", "infra.submission:submit", "before a job is written"),
    Step("gateway", "after", "infra.submission:submit", "written, not committed"),
    Step("gateway", "before", OUTBOX, "committed, not published"),
    Step("relay", "after", "infra.events:number", "facts numbered"),
    Step("relay", "before", "infra.events:mark", "facts sent, not noted"),
    Step("relay", "before", "infra.relay.wakeups:_mark", "jobs published, not noted"),
    Step("dispatcher", "before", COMMITTER, "a batch read, nothing done"),
    Step("dispatcher", "after", COMMITTER, "a batch done, not acknowledged"),
    Step("dispatcher", "before", DESK, "leases asked for"),
    Step("dispatcher", "after", DESK, "leases given, not committed"),
    Step("splitter", "before", ADMISSION, "a message in hand"),
    Step("splitter", "after", ADMISSION, "claimed, not acknowledged"),
    Step("splitter", "before", ENDING, "the work done, not said"),
    Step("splitter", "after", ENDING, "the end written, not committed"),
    Step("splitter", "before", "consumers.runtime.tally:ended", "the end committed"),
    Step("splitter", "before", STORE, "an output to be stored", child=True),
    Step("splitter", "after", STORE, "an output stored, in no row", child=True),
    Step("splitter", "before", CHECKPOINT, "a part to be noted", child=True),
    Step("splitter", "after", CHECKPOINT, "a part noted", child=True),
)


@dataclass
class Broken:
    """What broke at one step: all of it should be zero."""

    not_struck: int = 0
    lost: int = 0
    twice: int = 0
    illegal: int = 0
    wrong: int = 0
    gaps: int = 0
    items: int = 0

    @property
    def total(self) -> int:
        """All of it together."""
        return sum(getattr(self, each.name) for each in fields(self))


class Matrix:
    """One system whose processes are killed one after the other."""

    def __init__(self, system: System, database: Engine, folder: Path) -> None:
        self._system = system
        self._database = database
        self._folder = folder
        self._clip = ""
        self._digest: str | None = None
        self.orphans = 0

    def run(self, steps: Sequence[Step] = STEPS) -> dict[Step, Broken]:
        """Every step; afterwards the store is reconciled, and what no row names is counted."""
        settings = settings_of(self._system)
        declare(settings)
        self._system.start(*NAMES)
        clip = Clips(self._folder / "clips").make(Recipe(frames=90))
        self._clip = self._system.upload(clip.read_bytes(), "clip.mp4")
        found = {step: self._strike(step) for step in steps}
        self._system.stop()
        reconcile(settings, self._database)
        kept, named = set(Bucket(self._system.environment).keys()), named_objects(self._database)
        self.orphans = len(kept ^ named)
        return found

    def _strike(self, step: Step) -> Broken:
        broken = Broken()
        name = f"matrix-{uuid.uuid4().hex[:8]}"
        self._system.stop_one(step.process)
        with self._rigged(step, name) as flag:
            self._system.processes.pop(step.process)
            self._system.start(name)
            jobs = Work(self._system, self._clip, broken, lambda: self._mend(step, name)).ask()
            done = f"it was struck and all is done: {step.what}"
            until(lambda: self._mend(step, name) or (flag.exists() and self._over(jobs)), done, PATIENCE)
            broken.not_struck = int(not flag.exists())
        if step.process not in self._system.processes:  # it lives, or only its child died
            self._system.stop_one(name)
            self._system.start(step.process)
        del self._system.processes[name]
        self._judge(jobs, broken)
        return broken

    @contextmanager
    def _rigged(self, step: Step, name: str) -> Iterator[Path]:
        """A command that starts the process with a wire at this step; it notes in a file that it was struck."""
        flag = self._folder / f"{name}.struck"
        where = [step.where, str(flag), "child" if step.child else "parent"]
        COMMANDS[name] = ("-m", "tests.chaos.once", "SIGKILL", step.moment, *where, step.process)
        try:
            yield flag
        finally:
            del COMMANDS[name]

    def _mend(self, step: Step, name: str) -> bool:
        """Start the process again, as whoever runs it does. Always false: for use in a wait."""
        if step.process not in self._system.processes and self._system.processes[name].poll() is not None:
            self._system.start(step.process)
        return False

    def _over(self, jobs: Sequence[uuid.UUID]) -> bool:
        query = text("select count(*) from jobs where id = any(:ids) and finished_at is not null")
        unsent = text("select count(*) from events where seq is null")
        with self._database.connect() as connection:
            done = connection.execute(query, {"ids": list(jobs)}).scalar_one()
            return bool(done == len(jobs) and not connection.execute(unsent).scalar_one())

    def _judge(self, jobs: Sequence[uuid.UUID], broken: Broken) -> None:
        with self._database.connect() as connection:
            done = text("select id from jobs where id = any(:ids) and state = 'succeeded'")
            succeeded = set(connection.execute(done, {"ids": list(jobs)}).scalars())
            numbers = connection.execute(text(invariants.NUMBERS)).mappings().one()
            digests = {row["job_id"]: row["digest"] for row in connection.execute(text(invariants.OUTPUTS)).mappings()}
        broken.lost = len(set(jobs) - succeeded)
        findings = list(invariants.of_effects(self._database))
        broken.twice, broken.illegal = (len(finding.broken) for finding in findings[:2])
        self._digest = self._digest or digests.get(jobs[0])
        broken.wrong = int(digests.get(jobs[0]) != self._digest)
        broken.gaps = int((numbers["numbered"], numbers["last"]) != (numbers["events"], numbers["events"]))


class Work:
    """The same work every time: a split, echoes, one of them later, and items under a lease; until it is taken."""

    def __init__(self, system: System, clip: str, broken: Broken, mend: Callable[[], object]) -> None:
        self._http = system.http
        self._clip = clip
        self._broken = broken
        self._mend = mend

    def ask(self) -> list[uuid.UUID]:
        """Ask for all of it; the ids of the jobs, the split first."""
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        split = {"kind": "split.video", "params": {"file": self._clip, "rate": 5, "frames_per_task": 5, "images": True}}
        wanted: list[dict[str, Any]] = [split]
        wanted += [{"kind": "probe.echo", "params": {"text": f"number {n}"}} for n in range(ECHOES)]
        wanted[-1]["run_at"] = soon
        jobs = [uuid.uuid4() for _ in wanted]
        for job, body in zip(jobs, wanted, strict=True):
            self._until_taken("POST", "/v1/jobs", json=body | {"id": str(job)})
        self._items()
        return jobs

    def _items(self) -> None:
        here = f"/v1/collections/m-{uuid.uuid4().hex[:8]}"
        self._until_taken("PUT", here, json={})
        keys = [f"k{n}" for n in range(ITEMS)]
        self._until_taken("POST", f"{here}/items", json={"items": [{"key": key} for key in keys]})
        once = {"Idempotency-Key": uuid.uuid4().hex}
        lease = self._until_taken("POST", f"{here}/leases", json={"count": ITEMS, "ttl": 600}, headers=once).json()
        results = [{"key": item["key"], "state": "completed"} for item in lease["items"]]
        again = {"Idempotency-Key": uuid.uuid4().hex}
        self._until_taken("POST", f"{here}/leases/{lease['lease']}/submit", json={"results": results}, headers=again)
        counts = self._until_taken("GET", f"{here}/counts").json()["by_state"]
        self._broken.items = ITEMS - counts["completed"]

    def _until_taken(self, method: str, path: str, **given: Any) -> httpx.Response:
        def taken() -> httpx.Response | None:
            with suppress(httpx.TransportError):
                answer = self._http.request(method, path, **given)
                if answer.status_code != 503:
                    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
                    return answer
            self._mend()
            return None

        return until(taken, f"{method} {path} is taken", PATIENCE)


def table(found: dict[Step, Broken], orphans: int) -> str:
    """The matrix for people to read."""
    names = [each.name for each in fields(Broken)]
    lines = [f"{'killed':48}" + "".join(f"{name.replace('_', ' '):>12}" for name in names)]
    for step, broken in found.items():
        title = f"{step.process}{' child' if step.child else ''}: {step.what}"
        lines.append(f"{title:48}" + "".join(f"{getattr(broken, name):12}" for name in names))
    lines.append(f"{orphans} objects that no row names, or rows that name no object, after all that")
    return "\n".join(lines)
