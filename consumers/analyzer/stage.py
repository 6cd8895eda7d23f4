"""A part of an analysis that is done once: named by all that it depends on, kept by crashes, shared between jobs."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.artifacts import Artifact, Step
from consumers.ports import AnalysisWorkspace

#: Of how stages are made. What changes any result gets another number.
REVISION = 1
COUNT = "artifacts"

Made = tuple[dict[str, Any], Sequence[Artifact]]


@dataclass(frozen=True)
class Stage:
    """A part of a job. `needs` is all that its result depends on, as plain values; `folder` is where in the job."""

    what: str
    ordinal: int
    needs: Sequence[Any]
    folder: str = ""

    @property
    def name(self) -> str:
        """The name that the same work has in every job."""
        text = orjson.dumps([REVISION, self.what, *self.needs], option=orjson.OPT_SORT_KEYS)
        return f"stage:{self.what}:{hashlib.sha256(text).hexdigest()}"


def done(workspace: AnalysisWorkspace, stage: Stage, make: Callable[[], Made], force: bool) -> Step:
    """The stage as an earlier attempt or, unless forced, another job has left it; else made now."""
    for kept in workspace.checkpoints():
        if kept.name == stage.name:
            return kept
    if not force:
        taken = workspace.reuse(stage.name, stage.ordinal, stage.folder)
        if taken is not None:
            return taken
    record, artifacts = make()
    step = Step(stage.name, stage.ordinal, record | {COUNT: len(artifacts)}, tuple(artifacts))
    workspace.checkpoint(step)
    return step


def files(step: Step) -> dict[str, Artifact]:
    """What a stage made, by the last part of its name."""
    return {artifact.name.rpartition("/")[2]: artifact for artifact in step.artifacts}
