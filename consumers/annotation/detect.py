"""`annotate.task` and `annotate.onnx`: look at every frame of a task's video, some at a time, and note the boxes.

What is found is written into steps; it shows, in place of an earlier detector's, when the job has succeeded.
"""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import FFmpegError

from consumers.annotation.detectors import Picture, detector
from consumers.artifacts import Step
from consumers.outcome import Done, Rejected
from consumers.ports import Curation
from schemas.detection import AnnotateOnnx, AnnotateTask

STEP = 64


def handle(params: AnnotateTask, workspace: Curation) -> Done:
    """Find boxes; frames count from 1. Raises Rejected: `unreadable_model`, `unusable_model`, `unreadable_video`."""
    model = workspace.input(params.model) if isinstance(params, AnnotateOnnx) else None
    finding = detector(params.settings, model)
    known = {step.ordinal: len(step.record["boxes"]) for step in workspace.checkpoints()}
    frames, boxes = 0, sum(known.values())
    total = _frames(workspace)
    pictures = _pictures(workspace.input(params.video))
    for ordinal, run in enumerate(iter(lambda: list(islice(pictures, STEP)), [])):
        if ordinal not in known:
            record = _look(finding, run, frames, params.settings.batch)
            workspace.checkpoint(Step(f"frames-{ordinal:05d}", ordinal, {"boxes": record}))
            boxes += len(record)
        frames += len(run)
        workspace.progress(99 * frames / max(total, frames))
    return Done({"frames": frames, "boxes": boxes, "version": params.version})


def _look(finding: Any, run: list[Picture], before: int, batch: int) -> list[dict[str, Any]]:
    boxes = []
    for first in range(0, len(run), batch):
        for place, found in enumerate(finding.find(run[first : first + batch])):
            frame = before + first + place + 1
            boxes += [asdict(box) | {"frame": frame, "place": n} for n, box in enumerate(found)]
    return boxes


def _frames(workspace: Curation) -> int:
    return sum(int(row["frame_count"]) for row in workspace.ask("task"))


def _pictures(video: Path) -> Iterator[Picture]:
    try:
        with av.open(video) as container:
            for frame in container.decode(container.streams.video[0]):
                yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    except (FFmpegError, IndexError) as error:
        if isinstance(error, MemoryError):
            raise
        raise Rejected("unreadable_video", "The task's video cannot be read.") from error
