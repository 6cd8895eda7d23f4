"""A workspace in memory: what a handler may ask for, without a database or an object store behind it."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

from consumers.artifacts import Artifact, Step
from consumers.outcome import Fenced, Rejected
from schemas.bulk import Bulk, BulkAction


@dataclass
class MemoryJob:
    """What outlives an attempt: inputs by reference, committed steps, and every object ever written."""

    inputs: dict[str, Path]
    steps: dict[int, Step] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    attempts: int = 0
    others: list[UUID] = field(default_factory=list)
    """The jobs that a bulk action chooses, in the order of their ids."""

    def attempt(self, folder: Path) -> "MemoryWorkspace":
        """A new attempt with an empty scratch folder below `folder`; earlier attempts are fenced from now on."""
        self.attempts += 1
        scratch = folder / f"attempt-{self.attempts}"
        scratch.mkdir(parents=True)
        return MemoryWorkspace(self, self.attempts, scratch)


@dataclass
class MemoryWorkspace:
    """One attempt's view of a MemoryJob. `percents`: everything that was told about progress."""

    job: MemoryJob
    token: int
    scratch: Path
    percents: list[float] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def input(self, file: str) -> Path:
        """The bytes of one input."""
        if file not in self.job.inputs:
            raise Rejected("unknown_file", f"The job has no input {file}.")
        return self.job.inputs[file]

    def name(self, file: str) -> str:
        """The name of one input."""
        return self.input(file).name

    def store(self, name: str, source: Path | bytes, content_type: str) -> Artifact:
        """Write an object under a key of this attempt."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        key = f"{self.token}/{name}"
        with self.lock:
            self.job.objects[key] = data
        sha256, sha1 = hashlib.sha256(data).hexdigest(), hashlib.sha1(data).hexdigest()
        return Artifact(name, sha256, sha1, len(data), content_type, key)

    def checkpoint(self, step: Step) -> None:
        """Commit a finished part of the work; its objects must be there by now."""
        if self.token != self.job.attempts:
            raise Fenced
        assert step.ordinal not in self.job.steps
        assert all(artifact.object_key in self.job.objects for artifact in step.artifacts)
        self.job.steps[step.ordinal] = replace(step, record=stored(step.record))

    def checkpoints(self) -> list[Step]:
        """The parts that were committed so far, by ordinal."""
        return [self.job.steps[ordinal] for ordinal in sorted(self.job.steps)]

    def act(self, wanted: Bulk, limit: int) -> Step | None:
        """Deal with the next of the others, and remember it as a step."""
        if self.token != self.job.attempts:
            raise Fenced
        dealt = sum(len(step.record["done"]) for step in self.job.steps.values())
        batch = self.job.others[dealt : dealt + limit]
        if not batch:
            return None
        outcome = "cancelled" if wanted.action is BulkAction.CANCEL else "queued"
        record = {"total": len(self.job.others), "done": [[str(job_id), outcome, None] for job_id in batch]}
        step = Step(f"batch-{len(self.job.steps):06d}", len(self.job.steps), record)
        self.job.steps[step.ordinal] = step
        return step

    def progress(self, percent: float) -> None:
        """Note how far the work is."""
        self.percents.append(percent)


def stored(value: Any) -> Any:
    """JSON as it comes back from a `jsonb` column: the keys of every object in an order of the database's own."""
    if isinstance(value, dict):
        return {key: stored(value[key]) for key in sorted(value, key=lambda key: (len(key), key))}
    return [stored(item) for item in value] if isinstance(value, list) else value
