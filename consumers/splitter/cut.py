"""The work itself: samples in, finished tasks out. One task video is encoded at a time while the pictures of its
samples, and the uploads of the task before, are still under way.

A task is checkpointed once everything it names is stored, in order, and never before. Nothing here may choose frames.
"""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from os import cpu_count

from consumers.ahead import Ahead
from consumers.artifacts import Artifact, Step
from consumers.ports import Workspace
from consumers.splitter.decode import Sample, samples
from consumers.splitter.encode import TaskVideo
from consumers.splitter.ledger import Ledger
from consumers.splitter.look import Look
from consumers.splitter.pictures import Pictures
from consumers.splitter.pixels import Pixels
from consumers.splitter.plan import Plan, Task
from consumers.splitter.probe import Source
from consumers.splitter.records import Delivered, task_name, task_record
from schemas.splitting import SplitVideo

# Decoded frames that may wait in each of the two queues: enough to keep every core busy, bounded by bytes.
FRAMES_WAITING = 8
BYTES_WAITING = 96 * 1024**2
# Short of 100: only the move to `succeeded` says that everything is done.
NEARLY = 99.0
MOST_WORKERS = 12
MP4 = "video/mp4"


@dataclass
class _Pending:
    """A task on its way: what it will consist of, and the stores that must succeed before it counts."""

    task: Task
    delivered: list[Delivered] = field(default_factory=list)
    pictures: list["Future[tuple[Artifact, ...]]"] = field(default_factory=list)
    video: "Future[Artifact] | None" = None


def frames_waiting(look: Look) -> int:
    """How many decoded frames of this size one queue may hold."""
    return max(2, min(FRAMES_WAITING, BYTES_WAITING // (look.width * look.height * 3)))


class Cutting:
    """One attempt at the open tasks of a split. `ledger` knows the finished ones and learns of the others."""

    def __init__(self, params: SplitVideo, workspace: Workspace, source: Source, plan: Plan, ledger: Ledger) -> None:
        self._params, self._workspace = params, workspace
        self._video = workspace.name(params.file)
        self._source, self._plan, self._ledger = source, plan, ledger
        self._pixels = Pixels(source.look)
        self._pending: deque[_Pending] = deque()
        self._written = ledger.frames

    def run(self) -> None:
        """Make and checkpoint every task that is not in the ledger. Raises whatever the workspace raises."""
        todo = [task for task in self._plan.tasks if task.number not in self._ledger]
        room = frames_waiting(self._source.look)
        pool = ThreadPoolExecutor(min(MOST_WORKERS, (cpu_count() or 1) + 2), thread_name_prefix="store")
        try:
            pictures = Pictures(pool, self._workspace, self._source.look, self._params, room)
            with Ahead(samples(self._source, self._plan, todo), room) as ahead:
                for task, run in groupby(ahead, key=lambda sample: self._plan.task_of(sample.number)):
                    self._cut(task, run, pool, pictures)
            self._settle(keep=0)
        finally:
            pool.shutdown(cancel_futures=True)

    def _cut(self, task: Task, run: Iterable[Sample], pool: ThreadPoolExecutor, pictures: Pictures) -> None:
        pending = _Pending(task)
        path = self._workspace.scratch / task_name(task.number).replace("/", "-")
        with TaskVideo(path, self._source.look, self._params, self._pixels) as video:
            for sample in run:
                video.add(sample.shot)
                if self._params.images:
                    pending.pictures.append(pictures.submit(sample.number, sample.shot))
                pending.delivered.append(Delivered(sample.number, sample.ordinal, sample.pts))
                self._tell()
        pending.video = pool.submit(self._workspace.store, task_name(task.number), path, MP4)
        self._pending.append(pending)
        self._settle(keep=1)

    def _tell(self) -> None:
        self._written += 1
        self._workspace.progress(NEARLY * self._written / len(self._plan.ordinals))

    def _settle(self, keep: int) -> None:
        """Checkpoint the oldest tasks, each after all its stores, until only `keep` are under way."""
        while len(self._pending) > keep:
            pending = self._pending.popleft()
            assert pending.video is not None
            video = pending.video.result()
            pictures = [artifact for future in pending.pictures for artifact in future.result()]
            look, task = self._source.look, pending.task
            record = task_record(self._video, self._plan, look, task, pending.delivered)
            step = Step(f"task-{task.number}", task.number, record, (video, *pictures))
            self._workspace.checkpoint(step)
            self._ledger.add(step)
            (self._workspace.scratch / task_name(task.number).replace("/", "-")).unlink()
